import JSON

extension StatusScreen {
    /// Who the connector is kept for, where its charge ends, and what the contactor has done so far.
    static func details(_ connector: JSONValue) -> [String] {
        var lines: [String] = []
        if let reservation = connector["reservation"] {
            lines.append(
                "  reserved for \(reservation["token"]?.string ?? "?") until "
                    + "\(reservation["expires"]?.string ?? "?")")
        }
        if let charge = connector["charge"]?["limits"]?.object {
            let ends = charge.sorted { $0.key < $1.key }
                .map { "\($0.key) \($0.value.number?.text ?? "?")" }
            lines.append("  charge ends at: \(ends.joined(separator: ", "))")
        }
        if let life = connector["contactorLife"] {
            lines.append(
                "  contactor: \(life["closings"]?.int ?? 0) closings, "
                    + "\(life["hotOpenings"]?.int ?? 0) of \(life["openings"]?.int ?? 0) openings hot"
            )
        }
        return lines
    }
}
