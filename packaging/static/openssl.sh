#!/bin/sh
# openssl.sh: stands for perl in openssl-src's build (OPENSSL_SRC_PERL) and leaves out of OpenSSL what the agent never
# uses; openssl-src has features only for a few of these. What stays: TLS 1.2 and 1.3 with their AES-GCM, ChaCha20 and
# AES-CBC suites, RSA, ECDSA and Ed25519 certificates, X25519 and the NIST curves, PKCS#8 keys under a password, SCRAM; and
# NPN, which gRPC names though it uses ALPN.
[ "$1" = ./Configure ] || exec perl "$@"
exec perl "$@" -Oz \
  no-quic no-dtls no-srtp no-tls1 no-tls1_1 no-ssl-trace no-ct \
  no-cms no-ts no-cmp no-srp no-rfc3779 no-gost \
  no-whirlpool no-rmd160 no-mdc2 no-md4 no-rc2 no-rc4 no-bf no-cast no-aria no-sm2 no-sm3 no-sm4 \
  no-siphash no-siv no-ocb no-blake2 no-scrypt no-argon2 no-ec2m no-ml-kem no-ml-dsa no-slh-dsa no-lms \
  no-dsa no-psk no-http no-ocsp no-cmac no-multiblock no-integrity-only-ciphers no-tls-deprecated-ec no-filenames \
  no-secure-memory no-dso no-ui-console no-thread-pool no-default-thread-pool no-padlockeng no-afalgeng no-legacy no-apps no-docs
