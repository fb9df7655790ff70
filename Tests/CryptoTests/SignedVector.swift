/// Certificates and signatures over `firmware` made by another implementation (PyCA cryptography).
enum SignedVector {
    static let elliptic = """
        -----BEGIN CERTIFICATE-----
        MIIBJDCBy6ADAgECAgIBAjAKBggqhkjOPQQDAjAQMQ4wDAYDVQQDDAVNYWtlcjAg
        Fw0yNjAxMDEwMDAwMDBaGA8yMDU2MDEwMTAwMDAwMFowEDEOMAwGA1UEAwwFTWFr
        ZXIwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASVKxfyoClY6T54FZV/95KCnvV0
        vggOAlcz1bE5JsaBBCmHV/oxU44B77KyPSRxi4A1V9Qhxqmgsplcdc00QqoroxMw
        ETAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIQDt7IUqrA9y9kbl
        j/aiImV9Y+kRNuRycGM6Vk9juNyTMQIgSEdV/V+d+WScAtVzxERY208eDkNBDP/L
        C5Y/T3Buxsg=
        -----END CERTIFICATE-----
        """
    static let ellipticSignature = """
        MEQCIHO/JA7aDP47ADINb7AunQO4MKWmPLobnTFsOay8PkV6AiBPyP3/O5qzMPk2Cey1GAGPXynnzcia
        NTFB5jMLXZX7DQ==
        """
    static let rsa = """
        -----BEGIN CERTIFICATE-----
        MIICsTCCAZmgAwIBAgICAQIwDQYJKoZIhvcNAQELBQAwEDEOMAwGA1UEAwwFTWFr
        ZXIwIBcNMjYwMTAxMDAwMDAwWhgPMjA1NjAxMDEwMDAwMDBaMBAxDjAMBgNVBAMM
        BU1ha2VyMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA0dzm66Y61BSD
        gQWNLXpt+Lao68mg+ZdvaNBY7SyRxPOwhCzEyebPZ37W40qMmLEXLxPpsLdwlonv
        Tq3tz87tPw2LTbAqIA/YkI4x5DskE4dI5UzNAlwnTifRB8raZiVgQepBnC2WCz1Z
        L3yh3s+87mMo0OF/xMETWu7DGSEQM17pRhP2YPxAyXmyOMKwEDEEJPt5xqyY17fk
        6pnoxf3f5ODYCBob+5K7Yzm0vFpEU1XMiQHFrx09HEmZ/WOMgWH3KWWOLoBhcLI3
        /lp0fHuVNkkopMDV5CqDQv9te11bi8TJPYopNkb/UetWdd5iPTA1aF9KQbm714Cr
        rEKProucOwIDAQABoxMwETAPBgNVHRMBAf8EBTADAQH/MA0GCSqGSIb3DQEBCwUA
        A4IBAQBS+TZfFyy9rcjZ6t9mlIFFpe89YJdegGtwckvawv+mjtsJP4V3iFo4DWp/
        hzatFnT54B9JX2g+Y8mal38qDfzdhmZjtu1GuYoz3+ZOIi9b++qJCCX315E11iNa
        uwP2563hgfg7PLXYhQY+obuZi36EhFAUDdRxJPOPr3GYjvb91rARHfF+Rqq+dUm4
        AizKLGrdBnHodM/piP0rq2MxJ/AvPre0Uy3JBr/bg5TvDDODWyav8vX/e4tJRB44
        5awTxlxU+gRVOCD/BM6u/JIzMhfWR0gw5f4XxTvJ8lgQV7Vgc+cYGvLGGTfHWUJI
        K426c2tLSmrrCom1BC8XrQt2URlr
        -----END CERTIFICATE-----
        """
    static let pssSignature = """
        bx/CRBdk5ZsBxD/9B5SZHiSY5X6OefFRGCLVH5Rh/AzX31Ij9LupjtMia/dslhj0uMT4lATewX86O8o0
        /IIAB/qJWjwAD8JH+3np+O2sX7kPm/2m/L2fY/b6YtGl55IhObs1ES4SrcRrK1GCq5I8XCD9B/MtgVAE
        GQN8WEqXFgj2htzn5GX6vz3vQEbornUBEXuLvpL55AEBVC/sJZTXgnNfcgGjgqVbJFOw15QEUK9AISTK
        2Ba2nwyOmTmQWdZGrnnyA5ovbLErssdYjKkb7+lmdnSTwQr8EvDZ87r8USfZED3fjyP4Uif8FLbF7DoJ
        GpY5D+bl2po40lpfttA1pw==
        """
    /// The older padding, which the white paper does not allow.
    static let oldSignature = """
        CC8HAHFHpyMKm1DS6y3xKc7b9Jq5I19uFFyGMt0sTvJW4zxGJhUP83aV208P2aBekS1fK5XL/1qjch1Q
        NOKn2ppo1WY5DHJGvIYCzU+tbn4SFYHeh0naIeZIsushH6fyYV02v6DhMmt2K7DhLvRnpBbhQyG1TLEb
        1TL3D/goDpw9kZ9hsLhX6EtbOVZJVzEyhc+3Mfevy3xW3cULpwLiM1SaBJkfk15C9qvJMzNTs3k6o9lP
        GUPecypL94YgB2TIyi1K7TbIyvOSe3AFIiESkF7RcxKtb3m0VAWbBjdeSuaUC8DUNDyh6x1OcrJkn0Lc
        rhrpLzi/AyC3Z8q8S49zJQ==
        """
    /// SHA-256 over the elliptic key's point, SHA-512 over the issuer's name.
    static let keyHash = "433bace2c9eb33ef68b948986b74234fcecca0b421590d1c2082b55793adfe83"
    static let nameHash =
        "c316946a6d533d75dddf8f4a21528b7f24154216cbca41315ae2d668017a640b0d7c0b5405352db5bb966fbbfd14b4bbc30a530f455d1dfbf7b1ecfeb54b29c6"
}
