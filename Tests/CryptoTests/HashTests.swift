import Crypto
import Testing

/// Bytes typed as hexadecimal, blanks allowed; empty where the text is none, which no test expects.
func hex(_ text: String) -> [UInt8] { Hex.decode(text.filter { $0 != " " && $0 != "\n" }) ?? [] }

@Suite struct `Hashes and codes` {
    @Test func `SHA-256 answers the examples of FIPS 180-4`() {
        #expect(
            Hex.encode(SHA256.hash("abc"))
                == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(
            Hex.encode(SHA256.hash(""))
                == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    }

    @Test func `BLAKE2b-512 answers RFC 7693 appendix A`() {
        let expected = hex(
            """
            ba80a53f981c4d0d 6a2797b69f12f6e9 4c212f14685ac4b7 4b12bb6fdbffa2d1
            7d87c5392aab792d c252d5de4533cc95 18d38aa8dbf1925a b92386edd4009923
            """)
        #expect(BLAKE2b512.hash(Array("abc".utf8)) == expected)
    }

    @Test func `HMAC-SHA256 answers RFC 4231 cases 1 and 2`() {
        #expect(
            HMACSHA256.authenticate(
                Array("Hi There".utf8), key: [UInt8](repeating: 0x0B, count: 20))
                == hex("b0344c61d8db3853 5ca8afceaf0bf12b 881dc200c9833da7 26e9376c2e32cff7"))
        #expect(
            HMACSHA256.authenticate(
                Array("what do ya want for nothing?".utf8), key: Array("Jefe".utf8))
                == hex("5bdcc146bf60754e 6a042426089575c7 5a003f089d273983 9dec58b964ec3843"))
    }

    @Test func `secrets compare equal only when they are`() {
        #expect(constantTimeEqual("secret", "secret"))
        #expect(!constantTimeEqual("secret", "secreT"))
        #expect(!constantTimeEqual("secret", "secret\u{0}"))
        #expect(!constantTimeEqual("", "a"))
        #expect(constantTimeEqual([], []))
    }

    @Test func `random bytes and UUIDs do not repeat`() {
        #expect(RandomBytes.make(32) != RandomBytes.make(32))
        #expect(RandomBytes.make(0).isEmpty)
        let made = (0..<100).map { _ in UUID4.make() }
        #expect(Set(made).count == 100)
        for uuid in made {
            let letters = Array(uuid)
            #expect(UUID4.isUUID(uuid))
            #expect(letters[14] == "4")
            #expect("89ab".contains(letters[19]))
        }
        #expect(!UUID4.isUUID("12345678-1234-1234-1234-12345678901g"))
        #expect(!UUID4.isUUID("1234567812341234123412345678901a"))
    }
}

@Suite struct `Base64 and hexadecimal` {
    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="),
        ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy"),
    ])
    func `follow RFC 4648 section 10`(plain: String, coded: String) {
        #expect(Base64.encode(Array(plain.utf8)) == coded)
        #expect(Base64.decode(coded) == Array(plain.utf8))
        let bare = coded.filter { $0 != "=" }
        #expect(Base64.encode(Array(plain.utf8), padded: false) == bare)
        #expect(Base64.decodeLeniently(bare) == Array(plain.utf8))
        if bare != coded { #expect(Base64.decode(bare) == nil) }
    }

    @Test(arguments: ["Zg=", "Zg", "Zg===", "Zh==", "Z===", "Zg==\n", "Z g=", "-_8=", "====", "a"])
    func `are strict where there is only one spelling`(text: String) {
        #expect(Base64.decode(text) == nil)
    }

    @Test func `take what peers send`() {
        #expect(Base64.decodeLeniently("-_8") == [0xFB, 0xFF])
        #expect(Base64.decode("+/8=") == [0xFB, 0xFF])
        #expect(Base64.encode([0xFB, 0xFF], alphabet: .url, padded: false) == "-_8")
        #expect(Base64.decodeLeniently("Zm9v\r\nYmFy ") == Array("foobar".utf8))
        #expect(Base64.decodeLeniently("Zm9*") == nil)
        #expect(Base64.decodeLeniently("Zm9vY") == nil)
    }

    @Test func `come back as they were`() {
        for count in 0..<40 {
            let bytes = RandomBytes.make(count)
            #expect(Base64.decode(Base64.encode(bytes)) == bytes)
            #expect(Hex.decode(Hex.encode(bytes)) == bytes)
        }
        #expect(Hex.decode("0AfF") == [0x0A, 0xFF])
        #expect(Hex.decode("0") == nil)
        #expect(Hex.decode("0g") == nil)
    }
}

@Suite struct `A password hash` {
    @Test func `answers RFC 7914 section 12`() async throws {
        let hash = hex("7023bdcb3afd7348 461c06cd81fd38eb fda8fbba904f8e3e a9b543f6545da1f2")
        let stored =
            "$scrypt$ln=14,r=8,p=1$" + Base64.encode(Array("SodiumChloride".utf8), padded: false)
            + "$" + Base64.encode(hash, padded: false)
        #expect(try await PasswordHash.verify("pleaseletmein", against: stored))
        #expect(try await !PasswordHash.verify("pleaseletmeout", against: stored))
    }

    @Test func `knows its own password and no other`() async throws {
        let stored = try await PasswordHash.hash("grün", cost: .weak)
        #expect(stored.hasPrefix("$scrypt$ln=4,r=8,p=1$"))
        #expect(try await PasswordHash.verify("grün", against: stored))
        #expect(try await !PasswordHash.verify("gruen", against: stored))
        #expect(try await PasswordHash.hash("grün", cost: .weak) != stored)
    }

    @Test(arguments: [
        "", "grün", "$scrypt$", "$argon2id$ln=4,r=8,p=1$AAAAAAAAAAAAAAAA$AAAA",
        "$scrypt$ln=30,r=8,p=1$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "$scrypt$ln=x,r=8,p=1$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "$scrypt$ln=4,r=8,p=1$AAAAAAAAAAAAAAAA$",
    ])
    func `never matches a text that is none`(stored: String) async throws {
        #expect(try await !PasswordHash.verify("", against: stored))
    }
}
