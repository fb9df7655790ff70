import Testing

@testable import Service

@Suite struct `A one-time code` {
    @Test func `is read as typed, with the letters people mistake`() throws {
        let code = OneTimeCode([0x00, 0x44, 0x32, 0x14, 0xC7, 0x42, 0x54, 0xB6, 0x35, 0xCF])
        #expect(code.text == "0123-4567-89AB-CDEF")
        for typed in [
            "0123-4567-89AB-CDEF", "0123456789abcdef", "o1 2345 6789 abcdef", "OL23-4567-89ab-cdef",
            "oi23456789ABCDEF",
        ] {
            #expect(OneTimeCode(typed) == code, "\(typed)")
        }
    }

    @Test(arguments: [
        "", "0123-4567-89AB-CDE", "0123-4567-89AB-CDEFG", "0123-4567-89AB-CDEU",
        "0123-4567-89AB-CDEÄ", "0123_4567_89AB_CDEF",
    ])
    func `refuses what is none`(_ typed: String) { #expect(OneTimeCode(typed) == nil) }
}

@Suite struct `The text of an enrolment` {
    static let code = OneTimeCode([UInt8](repeating: 0xFF, count: 10))
    static let authority = String(repeating: "0f", count: 32)

    @Test(arguments: [
        EnrolmentURI(
            cpo: "https://cpo.example.com:8443", station: "CS-0001", code: code,
            authority: authority),
        EnrolmentURI(cpo: "https://[::1]:1", station: nil, code: code, authority: nil),
        EnrolmentURI(cpo: "https://a", station: "a b&c=d%e+ä", code: code, authority: nil),
    ])
    func `comes back from its own words`(_ uri: EnrolmentURI) {
        #expect(EnrolmentURI(uri.text) == uri)
        #expect(uri.text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F })
    }

    @Test func `passes over what it does not know`() {
        let text = "KERB:enrol?v=2&cpo=https://a/&code=zzzz-zzzz-zzzz-zzzz"
        #expect(EnrolmentURI(text)?.cpo == "https://a")
    }

    @Test(arguments: [
        "", "kerb:enrol?", "https://a/enrol?code=zzzzzzzzzzzzzzzz", "kerb:enrol?cpo=https://a",
        "kerb:enrol?cpo=http://a&code=zzzzzzzzzzzzzzzz",
        "kerb:enrol?cpo=https://a/x&code=zzzzzzzzzzzzzzzz",
        "kerb:enrol?cpo=https://u@a&code=zzzzzzzzzzzzzzzz",
        "kerb:enrol?cpo=https://a&cpo=https://b&code=zzzzzzzzzzzzzzzz",
        "kerb:enrol?cpo=https://a&code=zzzzzzzzzzzzzzzz&ca=00",
        "kerb:enrol?cpo=https://a%0d%0aX&code=zzzzzzzzzzzzzzzz",
        "kerb:enrol?cpo=https://a&code=zzzzzzzzzzzzzzzz&id=%f",
        "kerb:enrol?cpo=https://a&code=zzzzzzzzzzzzzzzz&id=%ff",
    ])
    func `is refused when it is none, or could lead elsewhere`(_ text: String) {
        #expect(EnrolmentURI(text) == nil)
    }
}

@Suite struct `An edit of a configuration` {
    private func edited(
        _ text: String, _ edit: (inout ConfigEdit) throws -> Void
    ) throws -> String {
        var file = ConfigEdit(text)
        try edit(&file)
        return file.text
    }

    @Test func `leaves everything else as it was written`() throws {
        let old = """
            # mine
            stationID: CS-0001   # the old one
            board: x

            csms:
              # the address
              url: wss://a/ocpp
              # caFile: /x
              passwordFile: /y
            site: {fuseAmperes: 63}

            """
        let new = try edited(old) {
            try $0.set("stationID", "no")
            try $0.set("url", of: "csms", "wss://b:1/ocpp")
            try $0.set("caFile", of: "csms", "/ca with blank")
        }
        #expect(
            new == """
                # mine
                stationID: no
                board: x

                csms:
                  caFile: "/ca with blank"
                  # the address
                  url: wss://b:1/ocpp
                  # caFile: /x
                  passwordFile: /y
                site: {fuseAmperes: 63}

                """)
    }

    @Test func `adds what is missing and takes away what is to go`() throws {
        #expect(
            try edited("board: x\ncsms:\n    caFile: /x\n    url: a") {
                try $0.set("stationID", "CS")
                try $0.set("caFile", of: "csms", nil)
                try $0.set("keyFile", of: "csms", "/k")
            } == "stationID: CS\nboard: x\ncsms:\n    keyFile: /k\n    url: a\n")
        #expect(try edited("") { try $0.set("url", of: "csms", "a") } == "csms:\n  url: a\n")
    }

    @Test(arguments: [
        "csms: {url: a}\n", "csms:\n  url: >\n    a\n", "csms:\n  url:\n    a\n",
        "csms:\n  url: a\n    b\n",
    ])
    func `refuses what it could spoil`(_ text: String) {
        #expect(throws: ConfigEdit.Refusal.self) {
            try edited(text) { try $0.set("url", of: "csms", "b") }
        }
    }
}
