#pragma once
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

// What Swift cannot import: function-like macros, variadic functions and stacks.

static inline EVP_PKEY *kerb_generate_p256(void) { return EVP_EC_gen("P-256"); }

// "ED25519" or "X25519".
static inline EVP_PKEY *kerb_generate_raw(const char *type) {
    return EVP_PKEY_Q_keygen(NULL, NULL, type);
}

// The bytes of a memory BIO; they belong to it.
static inline long kerb_bio_bytes(BIO *bio, const unsigned char **bytes) {
    char *start = NULL;
    long count = BIO_get_mem_data(bio, &start);
    *bytes = (const unsigned char *)start;
    return count;
}

static inline int kerb_add_extension(X509 *certificate, X509 *issuer, int nid, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    if (!extension) return 0;
    int added = X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    return added;
}

static inline int kerb_add_request_extension(X509_REQ *request, int nid, const char *value) {
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    STACK_OF(X509_EXTENSION) *stack = sk_X509_EXTENSION_new_null();
    int added = 0;
    if (extension && stack && sk_X509_EXTENSION_push(stack, extension) > 0) {
        extension = NULL;  // The stack owns it now.
        added = X509_REQ_add_extensions(request, stack);
    }
    X509_EXTENSION_free(extension);
    sk_X509_EXTENSION_pop_free(stack, X509_EXTENSION_free);
    return added;
}

// Copies the subject alternative names a request asks for into a certificate.
static inline int kerb_copy_alternative_names(X509 *certificate, X509_REQ *request) {
    STACK_OF(X509_EXTENSION) *stack = X509_REQ_get_extensions(request);
    int copied = 0;
    for (int i = 0; i < sk_X509_EXTENSION_num(stack); i++) {
        X509_EXTENSION *extension = sk_X509_EXTENSION_value(stack, i);
        if (OBJ_obj2nid(X509_EXTENSION_get_object(extension)) == NID_subject_alt_name)
            copied = X509_add_ext(certificate, extension, -1);
    }
    sk_X509_EXTENSION_pop_free(stack, X509_EXTENSION_free);
    return copied;
}

// Whether `leaf` leads over `between` to one of `roots` at `time`; X509_V_OK or the reason why not.
static inline int kerb_verify_chain(X509 *leaf, X509 *const *between, int between_count,
                                    X509 *const *roots, int root_count, int64_t time)
{
    int verdict = X509_V_ERR_UNSPECIFIED;
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    STACK_OF(X509) *stack = sk_X509_new_null();
    if (store && context && stack) {
        for (int i = 0; i < root_count; i++) X509_STORE_add_cert(store, roots[i]);
        for (int i = 0; i < between_count; i++) sk_X509_push(stack, between[i]);
        // A root that the operator named is trusted even where another one stands above it.
        X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
        if (X509_STORE_CTX_init(context, store, leaf, stack) == 1) {
            X509_STORE_CTX_set_time(context, 0, (time_t)time);
            X509_verify_cert(context);
            verdict = X509_STORE_CTX_get_error(context);
        }
    }
    sk_X509_free(stack);
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    return verdict;
}

// RSA-PSS with any length of salt, or ECDSA, over a SHA-256 digest. 1 is valid.
static inline int kerb_verify_sha256(EVP_PKEY *key, const unsigned char *digest,
                                     const unsigned char *signature, size_t length)
{
    int kind = EVP_PKEY_get_base_id(key);
    if (kind != EVP_PKEY_RSA && kind != EVP_PKEY_RSA_PSS && kind != EVP_PKEY_EC) return 0;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    int valid = 0;
    if (context && EVP_PKEY_verify_init(context) == 1
        && (kind == EVP_PKEY_EC
            || (EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1
                && EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_AUTO) == 1))
        && EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) == 1)
        valid = EVP_PKEY_verify(context, signature, length, digest, 32) == 1;
    EVP_PKEY_CTX_free(context);
    return valid;
}

// Whether a key is EC on a NIST curve, or RSA of a length that is neither weak nor a burden.
static inline int kerb_is_strong(EVP_PKEY *key)
{
    if (!key) return 0;
    int kind = EVP_PKEY_get_base_id(key), bits = EVP_PKEY_get_bits(key);
    if (kind == EVP_PKEY_RSA) return bits >= 2048 && bits <= 4096;
    char group[32] = "";
    size_t length = 0;
    if (kind != EVP_PKEY_EC || EVP_PKEY_get_group_name(key, group, sizeof group, &length) != 1)
        return 0;
    return !strcmp(group, "prime256v1") || !strcmp(group, "secp384r1")
        || !strcmp(group, "secp521r1") || !strcmp(group, "P-256") || !strcmp(group, "P-384")
        || !strcmp(group, "P-521");
}

// The subject's organisation, or nothing.
static inline int kerb_organisation(X509 *certificate, char *text, int size)
{
    return X509_NAME_get_text_by_NID(
        X509_get_subject_name(certificate), NID_organizationName, text, size);
}
