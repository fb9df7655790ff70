import Charging
import JSON
import Station

/// The local page as HTML; everything that comes from outside is escaped.
struct PageWriter {
    let status: JSONValue
    let powers: [ConnectorNumber: [Int64]]

    private static let refreshSeconds = 2
    private static let width = 240
    private static let height = 48

    var html: String {
        let station = Self.escaped(status["station"]?.string ?? "?")
        let link = status["link"]?.string ?? "?"
        let registration = status["registration"]?.string ?? "not registered"
        let depth = status["journalDepth"]?.int.map { "\($0) to send" } ?? "unreadable"
        return """
            <!doctype html>
            <html lang="en"><head><meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta http-equiv="refresh" content="\(Self.refreshSeconds)">
            <title>\(station)</title><link rel="stylesheet" href="/style.css"></head>
            <body><header><h1>\(station)</h1>
            <p>link <b class="\(link == "up" ? "good" : "bad")">\(Self.escaped(link))</b>,
            \(Self.escaped(registration)), journal \(Self.escaped(depth))</p></header>
            <main>\((status["connectors"]?.array ?? []).map(section).joined())</main>
            <footer><a href="/status.json">status.json</a> <a href="/metrics">metrics</a></footer>
            </body></html>

            """
    }

    private func section(_ connector: JSONValue) -> String {
        func text(_ key: String) -> String { Self.escaped(connector[key]?.string ?? "?") }
        let number = connector["connector"]?.int ?? 0
        let reason = connector["reason"]?.string.map { " <em>\(Self.escaped($0))</em>" } ?? ""
        let state = connector["status"]?.string ?? "?"
        let kind = state == "Faulted" ? "bad" : state == "Charging" ? "good" : "plain"
        var rows = [
            ("contactor", text("contactor")), ("pilot", "\(text("pilot")), \(text("signal"))"),
            ("limit", "\(Self.escaped(connector["limitAmperes"]?.number?.text ?? "?")) A"),
        ]
        if let charge = connector["charge"] {
            rows.append(
                (
                    "charge",
                    "\(charge["energyWh"]?.int ?? 0) Wh since "
                        + Self.escaped(charge["startedAt"]?.string ?? "?")
                ))
        }
        if let meter = connector["meter"] {
            rows.append(("meter", Self.escaped(StatusScreen.text(ofMeter: meter))))
        }
        let hindrances = (connector["hindrances"]?.array ?? []).compactMap(\.string)
        let energy =
            hindrances.isEmpty
            ? "<p class=\"good\">energy allowed</p>"
            : "<p>no energy:</p><ul>"
                + hindrances.map { "<li>\(Self.escaped($0))</li>" }.joined() + "</ul>"
        let table = rows.map { "<tr><th>\($0)</th><td>\($1)</td></tr>" }.joined()
        return """
            <section><h2>\(number) <span class="\(kind)">\(Self.escaped(state))</span>\(reason)</h2>
            \(course(number))\(energy)<table>\(table)</table></section>
            """
    }

    /// The last minutes' power as a line; the highest value is the picture's height.
    private func course(_ number: ConnectorNumber) -> String {
        let values = powers[number] ?? []
        let most = values.max() ?? 0
        guard values.count > 1, most > 0 else { return "" }
        let points = values.enumerated().map { index, value in
            let x = index * Self.width / (values.count - 1)
            let y = Self.height - Int(max(0, value) * Int64(Self.height) / most)
            return "\(x),\(y)"
        }
        return """
            <svg viewBox="0 -1 \(Self.width) \(Self.height + 2)" role="img" \
            aria-label="power, at most \(most) W"><polyline points="\(points.joined(separator: " "))"/>\
            </svg><p class="peak">peak \(most) W</p>
            """
    }

    static func escaped(_ text: String) -> String {
        var out = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": out += "&amp;"
            case "<": out += "&lt;"
            case ">": out += "&gt;"
            case "\"": out += "&quot;"
            case "'": out += "&#39;"
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out
    }

    static let style = """
        :root { color-scheme: light dark; font: 16px/1.4 system-ui, sans-serif; }
        body { max-width: 60rem; margin: 1rem auto; padding: 0 1rem; }
        main { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(18rem, 1fr)); }
        section { border: 1px solid #8888; border-radius: .5rem; padding: .5rem 1rem; }
        h1, h2 { font-size: 1.2rem; margin: .3rem 0; }
        th { text-align: left; padding-right: 1rem; font-weight: normal; vertical-align: top; }
        svg { width: 100%; height: 3rem; } polyline { fill: none; stroke: #2a7; stroke-width: 2; }
        .peak { margin: 0; font-size: .8rem; } .good { color: #185; } .bad { color: #c22; }
        @media (prefers-color-scheme: dark) { .good { color: #5d9; } .bad { color: #f88; } }

        """
}
