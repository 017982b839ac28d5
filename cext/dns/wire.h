/* SPDX-License-Identifier: Apache-2.0 */
/* Constants of the DNS message format. */
#ifndef XDPKIT_DNS_WIRE_H
#define XDPKIT_DNS_WIRE_H

#define HEADER_SIZE       12 /* RFC 1035 section 4.1.1 */
#define OPT_SIZE          11 /* without options, RFC 6891 section 6.1.2 */
#define OPTION_HEADER     4  /* code and length, RFC 6891 section 6.1.2 */
#define SUBNET_FIXED      4  /* family, two prefix lengths: RFC 7871 section 6 */
#define EDE_BYTES         2  /* of an option without text, RFC 8914 section 2 */
#define ZONEVERSION_BYTES 6  /* label count, type, serial: RFC 9660 sections 2 and 7.2.1 */
#define RR_FIXED          10 /* type, class, TTL, RDLENGTH: RFC 1035 section 4.1.3 */

/* Bytes 2 and 3 of the header, RFC 1035 section 4.1.1 and RFC 4035 section 3.1.6 (CD). */
#define BITS2_QR     0x80
#define BITS2_OPCODE 0x78
#define BITS2_AA     0x04
#define BITS2_TC     0x02
#define BITS2_RD     0x01
#define BITS3_CD     0x10

/*
 * RFC 1035 section 4.1.1, RFC 6891 section 9, RFC 7873 section 8. The low bits are in the header,
 * the high ones in the OPT: RFC 6891 section 6.1.3.
 */
#define RCODE_NOERROR   0
#define RCODE_FORMERR   1
#define RCODE_SERVFAIL  2
#define RCODE_NOTIMP    4
#define RCODE_REFUSED   5
#define RCODE_YXDOMAIN  6 /* RFC 2136 section 2.2 */
#define RCODE_NOTAUTH   9 /* RFC 8945 section 5.2.1 */
#define RCODE_BADVERS   16
#define RCODE_BADCOOKIE 23
#define RCODE_BITS      4
#define RCODE_MASK      0x0f

#define TSIG_BADKEY 17 /* the error in a TSIG record, RFC 8945 section 3 */

#define CLASS_RESERVED 0 /* RFC 6895 section 3.2; here: the request has no question */
#define CLASS_IN       1
#define CLASS_CH       3
#define CLASS_ANY      255 /* RFC 1035 section 3.2.5 */
#define TYPE_CNAME     5   /* RFC 1035 section 3.2.2 */
#define TYPE_SOA       6
#define TYPE_TXT       16
#define TYPE_DNAME     39 /* RFC 6672 section 2.1 */
#define TYPE_OPT       41
#define TYPE_DS        43 /* RFC 4034 section 5 */
#define TYPE_RRSIG     46 /* RFC 4034 section 3; NSEC, 47, is section 4 */
#define TYPE_NSEC      47
#define TYPE_TSIG      250 /* RFC 8945 section 4.1 */
#define TYPE_IXFR      251 /* RFC 1995 section 3 */
#define TYPE_ANY       255 /* RFC 1035 section 3.2.3 */
/* Types 128 to 255 are QTYPEs and meta-TYPEs, RFC 6895 section 3.1. */
#define TYPE_META_FIRST 128
#define TYPE_META_LAST  255

/* A compression pointer, and the largest offset that it can hold: RFC 1035 section 4.1.4. */
#define POINTER     0xc000
#define POINTER_MAX 0x3fff

#define EDNS_DO 0x8000 /* RFC 3225 section 3, RFC 6891 section 6.1.4 */

#define OPTION_NSID        3  /* RFC 5001 */
#define OPTION_SUBNET      8  /* RFC 7871 */
#define OPTION_COOKIE      10 /* RFC 7873 */
#define OPTION_EDE         15 /* RFC 8914 */
#define OPTION_REPORT      18 /* RFC 9567 */
#define OPTION_ZONEVERSION 19 /* RFC 9660 */

/* Extended errors that explain a REFUSED or SERVFAIL, RFC 8914 sections 4.19, 4.21, 4.22 and 4.25.
 */
#define EDE_PROHIBITED        18 /* this client may not ask that */
#define EDE_NOT_AUTHORITATIVE 20 /* the name is not in any zone served */
#define EDE_NOT_SUPPORTED     21 /* a class or type that is never served, whatever the name */
#define EDE_INVALID_DATA      24 /* the zone could not be loaded */

#endif
