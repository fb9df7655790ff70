import JSON

extension StatusScreen {
    /// `wiring 32 A, site 16 A (shared), profile 4 (TxProfile) 8 A`
    package static func limitsText(_ status: JSONValue, connector: Int) -> String? {
        guard let list = status["charging"]?["connectors"]?[String(connector)]?.array,
            !list.isEmpty
        else { return nil }
        let texts = list.map { entry in
            let note = entry["note"]?.string.map { " (\($0))" } ?? ""
            return
                "\(entry["whose"]?.string ?? "?") \(entry["amperes"]?.number?.text ?? "?") A\(note)"
        }
        return "  limits: " + texts.joined(separator: ", ")
    }

    /// The site's line: its fuse and what is known of the rest.
    package static func siteText(_ status: JSONValue) -> String? {
        guard let charging = status["charging"] else { return nil }
        var parts = ["fuse \(charging["fuseAmperes"]?.number?.text ?? "?") A"]
        if let state = charging["state"]?.string { parts.append(state) }
        func currents(_ key: String, _ name: String) {
            if let list = charging[key]?.array {
                let texts = list.map { $0.number?.text ?? "?" }
                parts.append("\(name) \(texts.joined(separator: "/")) A")
            } else if let text = charging[key]?.string {
                parts.append("\(name): \(text)")
            }
        }
        currents("othersAmperes", "other consumers")
        currents("fileLimitAmperes", "limit file")
        currents("socketLimitAmperes", "local limit")
        if let most = charging["stationMaximumAmperes"]?.number?.text {
            parts.append("operator's maximum \(most) A")
        }
        if let count = charging["profiles"]?.int, count > 0 { parts.append("\(count) profiles") }
        return "site  " + parts.joined(separator: ", ")
    }
}
