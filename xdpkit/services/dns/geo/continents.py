"""Countries' continents (ISO 3166-1), and groups of regions (ISO 3166-2).

They are GeoDNS's, so that its zones mean the same: Turkey and the Caucasus, Cyprus and the islands
are where GeoDNS has them, whatever a database says.
"""

from __future__ import annotations

_COUNTRIES = {
    "africa": "ao bf bi bj bw cd cf cg ci cm cv dj dz eg eh er et ga gh gm gn gq gw ke km lr ls ly "
    "ma mg ml mr mu mw mz na ne ng re rw sc sd sh sl sn so ss st sz td tg tn tz ug yt za zm zw",
    "antarctica": "aq bv gs hm tf",
    # ap: Asia/Pacific, of older databases.
    "asia": "ae af am ap az bd bh bn bt cc cn cx cy ge hk id il in io iq ir jo jp kg kh kp kr kw "
    "kz la lb lk mm mn mo mv my np om ph pk ps qa sa sg sy th tj tl tm tw uz vn ye",
    # eu, fx: Europe and metropolitan France, of older databases. xk: Kosovo, as MaxMind has it.
    "europe": "ad al at ax ba be bg by ch cz de dk ee es eu fi fo fr fx gb gg gi gr hr hu ie im is "
    "it je li lt lu lv mc md me mk mt nl no pl pt ro rs ru se si sj sk sm tr ua va xk",
    # an: the Netherlands Antilles, of older databases.
    "north-america": "ag ai an aw bb bl bm bq bs bz ca cr cu cw dm do gd gl gp gt hn ht jm kn ky "
    "lc mf mq ms mx ni pa pm pr sv sx tc tt us vc vg vi",
    "oceania": "as au ck fj fm gu ki mh mp nc nf nr nu nz pf pg pn pw sb tk to tv um vu wf ws",
    "south-america": "ar bo br cl co ec fk gf gy pe py sr uy ve",
}

CONTINENTS = {
    country: continent for continent, text in _COUNTRIES.items() for country in text.split()
}
"""The continent of each country."""

_GROUPS = {
    "us-west": "ak az ca co hi id mt nm nv or ut wa wy",
    "us-central": "ar ia il in ks la mn mo nd ne ok sd tx wi",
    "us-east": "al ct dc de fl ga ky ma md me mi ms nc nh nj ny oh pa ri sc tn va vt wv",
    # The federal districts of Russia, by the letters of their Russian names.
    "ru-dfd": "amu bu chu kam kha mag pri sa sak yev zab",
    "ru-kfd": "ce da in kb kc se sta",
    "ru-pfd": "ba cu kir me mo niz ore per pnz sam sar ta ud uly",
    "ru-sfd": "al alt irk kem kk kya nvs oms tom ty",
    "ru-tfd": "bel bry iva klu kos krs lip mos mow orl rya smo tam tul tve vla vor yar",
    "ru-ufd": "che kgn khm sve tyu yan",
    "ru-vfd": "ark kgd ko kr len mur nen ngr psk spe vlg",
    "ru-yfd": "ad ast kda kl ros vgg",
}

REGION_GROUPS = {
    f"{group[:2]}-{region}": group for group, text in _GROUPS.items() for region in text.split()
}
"""The group of each region that has one."""
