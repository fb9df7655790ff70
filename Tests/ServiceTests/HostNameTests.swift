import Testing

@testable import Service

@Suite struct `A host's name` {
    @Test(arguments: [
        "cpo.example.com", "cpo.example.com.", "cpo", "CPO-1.local", "a_b.lan", "192.168.1.5",
        "::1",
        "2001:db8::7", "xn--zhler-gra.example", "fe80::1%eth0",
    ])
    func `is taken as people write it`(_ host: String) {
        #expect(HostName.fault(of: host) == nil)
    }

    @Test(arguments: [
        ("", "is missing"), ("tcp://10.0.0.5", "without `tcp://`"), ("10.0.0.5:502", "the colon"),
        ("[::1]", "without brackets"), ("fe80::1%", "the colon"),
        ("cpo%eth0", "`%` is no character"),
        ("192.168.1.300", "four numbers"),
        ("192.168.1", "four numbers"),
        ("a b", "` ` is no character"), ("cpo/ocpp", "`/` is no character"),
        ("zähler", "`xn--` form"),
        ("cpo..example", "single dots"), ("-cpo", "inner hyphens"), (".", "single dots"),
        (String(repeating: "a", count: 64), "1 to 63"),
    ])
    func `is refused with the reason`(_ host: String, _ why: String) {
        #expect(
            HostName.fault(of: host)?.contains(text: why) == true,
            "\(HostName.fault(of: host) ?? "")")
    }

    @Test(arguments: [
        "localhost", "127.0.0.1", "::1", "10.9.8.7", "172.31.0.1", "192.168.255.1", "169.254.1.1",
        "100.64.0.1",
        "fd12::1", "fe80::1", "fe80::1%eth0", "cpo", "cpo.lan", "box.home.arpa", "a.INTERNAL",
    ])
    func `is private where only a closed network knows it`(_ host: String) {
        #expect(HostName.isPrivate(host))
    }

    @Test(arguments: [
        "cpo.example.com", "8.8.8.8", "172.32.0.1", "192.169.0.1", "100.128.0.1", "2001:db8::7",
        "fec0::1",
        "lan.example.com",
    ])
    func `is public otherwise`(_ host: String) {
        #expect(!HostName.isPrivate(host))
    }
}
