/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of the DNS message format. */
#ifndef XDPKIT_DNS_WIRE_H
#define XDPKIT_DNS_WIRE_H

#define HEADER_SIZE 12 /* RFC 1035 section 4.1.1 */
#define OPT_SIZE    11 /* without options, RFC 6891 section 6.1.2 */
#define RR_FIXED    10 /* type, class, TTL, RDLENGTH: RFC 1035 section 4.1.3 */

/* Bytes 2 and 3 of the header, RFC 1035 section 4.1.1 and RFC 4035 section 3.1.6 (CD). */
#define BITS2_QR     0x80
#define BITS2_OPCODE 0x78
#define BITS2_TC     0x02
#define BITS2_RD     0x01
#define BITS3_CD     0x10

/* RFC 1035 section 4.1.1; BADVERS is 16: 0 in the header and 1 in the OPT, RFC 6891 section 9. */
#define RCODE_NOERROR      0
#define RCODE_FORMERR      1
#define RCODE_NOTIMP       4
#define RCODE_REFUSED      5
#define RCODE_YXDOMAIN     6 /* RFC 2136 section 2.2 */
#define RCODE_BADVERS_HIGH 1

#define CLASS_IN 1
#define TYPE_OPT 41
#define TYPE_ANY 255
/* Types 128 to 255 are questions about the server or meta records, RFC 6895 section 3.1. */
#define TYPE_META_FIRST 128
#define TYPE_META_LAST  255

#define EDNS_DO 0x8000 /* RFC 3225 section 3, RFC 6891 section 6.1.4 */

#endif
