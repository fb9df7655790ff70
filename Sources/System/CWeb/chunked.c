// Chunked request bodies: lws hands over the raw bytes. RFC 9112 §7.1.
#include "internal.h"

enum { SIZE, EXTENSION, SIZE_LF, DATA, DATA_CR, DATA_LF, TRAILER, TRAILER_LINE, TRAILER_LF, DONE };
enum { MAX_CHUNK = 1 << 26, MAX_TRAILER = 8192, MAX_EXTENSION = 256 };

static int hex_digit(uint8_t byte)
{
    if (byte >= '0' && byte <= '9') return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

int chunked_feed(web_conn *conn, const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length;) {
        uint8_t byte = bytes[i];
        switch (conn->chunk_state) {
        case SIZE: {
            int digit = hex_digit(byte);
            if (digit >= 0) {
                if (conn->chunk_left > MAX_CHUNK) return -2;
                conn->chunk_left = conn->chunk_left * 16 + (size_t)digit;
                if (conn->size_digits < 16) conn->size_digits++;
                else return -1;
            } else if (!conn->size_digits) {
                return -1;
            } else if (byte == '\r') {
                conn->chunk_state = SIZE_LF;
            } else if (byte == ';' || byte == ' ' || byte == '\t') {
                conn->chunk_state = EXTENSION;
            } else {
                return -1;
            }
            i++;
            break;
        }
        case EXTENSION:
            if (byte == '\n' || ++conn->chunk_overhead > MAX_EXTENSION) return -1;
            if (byte == '\r') conn->chunk_state = SIZE_LF;
            i++;
            break;
        case SIZE_LF:
            if (byte != '\n') return -1;
            conn->chunk_state = conn->chunk_left ? DATA : TRAILER;
            conn->chunk_overhead = 0;
            conn->size_digits = 0;
            i++;
            break;
        case DATA: {
            size_t take = length - i < conn->chunk_left ? length - i : conn->chunk_left;
            if (body_take(conn, bytes + i, take)) return -2;
            i += take;
            conn->chunk_left -= take;
            if (!conn->chunk_left) conn->chunk_state = DATA_CR;
            break;
        }
        case DATA_CR:
            if (byte != '\r') return -1;
            conn->chunk_state = DATA_LF;
            i++;
            break;
        case DATA_LF:
            if (byte != '\n') return -1;
            conn->chunk_state = SIZE;
            i++;
            break;
        case TRAILER: // at the start of a line; trailer fields are read and dropped
            conn->chunk_state = byte == '\r' ? TRAILER_LF : TRAILER_LINE;
            if (byte == '\n') return -1;
            i++;
            break;
        case TRAILER_LINE:
            if (++conn->chunk_overhead > MAX_TRAILER) return -2;
            if (byte == '\n') conn->chunk_state = TRAILER;
            i++;
            break;
        case TRAILER_LF:
            if (byte != '\n') return -1;
            conn->chunk_state = DONE;
            return 1;
        default: return 1;
        }
    }
    return 0;
}
