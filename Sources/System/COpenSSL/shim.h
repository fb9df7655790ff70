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
