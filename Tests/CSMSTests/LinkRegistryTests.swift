import Charging
import Testing

@testable import CSMS

@Suite struct `The link registry` {
    private let noon = Rig.noon

    @Test func `gives the place to the newest and keeps it when the old one ends`() {
        let registry = LinkRegistry<String>()
        let (first, second) = (registry.nextEpoch(), registry.nextEpoch())
        #expect(registry.attach("CS", "one", epoch: first, address: "a", at: noon) == nil)
        #expect(registry.attach("cs", "two", epoch: second, address: "a", at: noon) == "one")
        #expect(!registry.detach("CS", epoch: first))
        #expect(registry["CS"] == "two")
        #expect(registry.detach("CS", epoch: second))
        #expect(registry["CS"] == nil)
    }

    @Test func `keeps a late older socket out`() {
        let registry = LinkRegistry<String>()
        let (first, second) = (registry.nextEpoch(), registry.nextEpoch())
        _ = registry.attach("CS", "two", epoch: second, address: "a", at: noon)
        #expect(registry.attach("CS", "one", epoch: first, address: "a", at: noon) == "one")
        #expect(registry["CS"] == "two")
        #expect(!registry.isCurrent("CS", epoch: first))
    }

    @Test func `counts two devices that push each other out, for five minutes`() {
        let registry = LinkRegistry<String>()
        for turn in 0..<8 {
            _ = registry.attach(
                "CS", "x", epoch: registry.nextEpoch(), address: turn % 2 == 0 ? "a" : "b",
                at: noon.advanced(bySeconds: Int64(turn)))
        }
        #expect(registry.replacements(of: "CS", at: noon.advanced(bySeconds: 10)) == 7)
        #expect(registry.replacements(of: "CS", at: noon.advanced(bySeconds: 400)) == 0)
        // One device that loses its line again and again is not two.
        for _ in 0..<8 {
            _ = registry.attach("ONE", "x", epoch: registry.nextEpoch(), address: "a", at: noon)
        }
        #expect(registry.replacements(of: "ONE", at: noon) == 0)
    }
}

@Suite struct `A station id in a path` {
    @Test(arguments: [
        ("/ocpp/CS-1", "CS-1"), ("/ocpp/CS-1/", "CS-1"), ("/ocpp//a/prefix/CS 1", "CS 1"),
        ("/ocpp/ocpp", nil), ("/ocpp/", nil), ("/ocpp/a\u{7}b", nil),
        ("/ocpp/" + String(repeating: "x", count: 49), nil),
    ])
    func `is the last segment that is one`(_ path: String, _ id: String?) {
        #expect(Admission.stationID(path: path) == id)
    }
}

@Suite struct `A message in the log` {
    @Test(arguments: [
        #"[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"secret"}]"#,
        #"[2,"1","ChangeConfiguration",{"key":"AUTHORIZATIONKEY","value":"secret"}]"#,
        #"[3,"1",{"configurationKey":[{"key":"authorizationKey","value":"secret"}]}]"#,
        #"[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"secret""#,
        #"[2,"1","ChangeConfiguration",{"key":"WifiPassword","value":"secret"}]"#,
        #"[3,"1",{"configurationKey":[{"key":"APN_PASSWORD","value":"secret"}]}]"#,
        #"[2,"1","GetDiagnostics",{"location":"ftp://kerb:secret@files.example.org/up"}]"#,
        #"[2,"1","UpdateFirmware",{"location":"https:\/\/kerb:secret@files.example.org\/f"}]"#,
    ])
    func `keeps no password`(_ frame: String) {
        let text = MessageLog.masked(Array(frame.utf8), 10_000)
        #expect(!text.contains("secret"))
    }

    @Test func `is kept as it came otherwise, and cut`() {
        #expect(MessageLog.masked(Array("[2,\"a\"]".utf8), 100) == "[2,\"a\"]")
        #expect(MessageLog.masked(Array("abcdef".utf8), 3) == "abc")
    }
}
