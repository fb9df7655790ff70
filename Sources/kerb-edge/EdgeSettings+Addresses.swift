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
        if let fault = queryFault(csms.url) { section.warn("url", fault) }
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

    /// Some operators' systems want even these, so a board that works goes on.
    static func checkIdentity(_ settings: EdgeSettings, _ csms: ConfigSection) {
        if let fault = identityFault(settings.csms.url, settings.stationID) {
            csms.warn("url", fault)
        }
    }

    /// What is odd about the end of an address that was not typed here; nil for a good one.
    static func endFault(_ url: String, _ stationID: String) -> String? {
        queryFault(url) ?? identityFault(url, stationID)
    }

    private static func queryFault(_ url: String) -> String? {
        guard url.contains("?") || url.contains("#") else { return nil }
        return "the station's identity goes to its end, so it ends with the path; leave out "
            + "`?` and `#` with what follows"
    }

    /// The identity goes to the end of the URL: with one there already the operator sees another station.
    /// Only the path counts: a host may be called as the station is.
    private static func identityFault(_ url: String, _ stationID: String) -> String? {
        var url = String(url.prefix { $0 != "?" && $0 != "#" })
        while url.hasSuffix("/") { url.removeLast() }
        let end = "/\(stationID)"
        let place = url.parts(between: "://", most: 1).last ?? url
        let path = place.drop { $0 != "/" }
        guard !stationID.isEmpty, path.hasSuffix(end) else { return nil }
        return "ends with the station's identity, which is added by itself: the board asks for "
            + "\(url)\(end); write \(url.dropLast(end.count))"
    }

    /// Speeds that libmodbus sets; any other it takes for 9600 without a word.
    private static let bauds = [
        300, 600, 1200, 2400, 4800, 9600, 19_200, 38_400, 57_600, 115_200, 230_400, 460_800,
        500_000, 576_000, 921_600, 1_000_000,
    ]

    /// - Parameter isSerial: else the speed is left over from a line of before, and nobody asks for it.
    static func checkBaud(_ baud: Int, isSerial: Bool, _ section: ConfigSection) {
        guard !section.isSchema, !bauds.contains(baud) else { return }
        guard isSerial else {
            return section.warn("baud", "a tcp bus has no speed; remove it")
        }
        let nearest = bauds.min { abs($0 - baud) < abs($1 - baud) } ?? 9600
        section.problem(
            "baud",
            "\(baud) is no speed of a serial line; did you mean \(nearest)? There are "
                + bauds.map { String($0) }.joined(separator: ", "))
    }
}
