import Service
import Web

// What the addresses and speeds of a file can be told to be wrong without asking the network.
extension EdgeSettings {
    static func checkAddress(_ csms: CSMS, _ section: ConfigSection) {
        let isTLS = csms.url.hasPrefix("wss://")
        guard isTLS || csms.url.hasPrefix("ws://") else {
            return section.problem(
                "url", "must begin with wss:// (or ws:// inside a private network)")
        }
        guard let host = WebSocketURL.place(csms.url)?.host else {
            return section.problem(
                "url", "is no address; write wss://HOST[:PORT]/PATH, without user and blanks")
        }
        if let fault = HostName.fault(of: host) { section.problem("url", fault) }
        if csms.url.contains("?") || csms.url.contains("#") {
            section.problem(
                "url",
                "the station's identity goes to its end, so it ends with the path; leave out "
                    + "`?` and `#` with what follows")
        }
        if csms.securityProfile >= 2, !isTLS {
            section.problem(
                "url", "securityProfile \(csms.securityProfile) needs a wss:// address")
        } else if csms.securityProfile < 2, isTLS {
            section.problem("securityProfile", "a wss:// address goes with securityProfile 2 or 3")
        } else if csms.securityProfile == 1, !HostName.isPrivate(host) {
            section.warn(
                "url",
                "ws:// shows the station's password and every card to all networks on the way to "
                    + "\(host): securityProfile 1 is for a private network or VPN (OCPP 1.6 security "
                    + "whitepaper); use wss:// and securityProfile 2")
        }
        if csms.securityProfile == 0, !["localhost", "127.0.0.1", "::1"].contains(host) {
            section.problem(
                "securityProfile", "0 is for loopback only; give a password and 1, or TLS and 2")
        }
    }

    /// The identity goes to the end of the URL: with one there already the operator sees another station.
    static func checkIdentity(_ settings: EdgeSettings, _ csms: ConfigSection) {
        var url = settings.csms.url
        while url.hasSuffix("/") { url.removeLast() }
        let end = "/\(settings.stationID)"
        guard !settings.stationID.isEmpty, url.hasSuffix(end), url.count > end.count else { return }
        csms.problem(
            "url",
            "ends with the station's identity, which is added by itself: the board would ask for "
                + "\(url)\(end); write \(url.dropLast(end.count))")
    }

    /// Speeds that libmodbus sets; any other it takes for 9600 without a word.
    private static let bauds = [
        300, 600, 1200, 2400, 4800, 9600, 19_200, 38_400, 57_600, 115_200, 230_400, 460_800,
        500_000, 576_000, 921_600, 1_000_000,
    ]

    static func checkBaud(_ baud: Int, _ section: ConfigSection) {
        guard !section.isSchema, !bauds.contains(baud) else { return }
        let nearest = bauds.min { abs($0 - baud) < abs($1 - baud) } ?? 9600
        section.problem(
            "baud",
            "\(baud) is no speed of a serial line; did you mean \(nearest)? There are "
                + bauds.map { String($0) }.joined(separator: ", "))
    }
}
