/// What a contactor's life is counted in. A hot opening costs as much of it as hundreds of cold ones.
package struct ContactorWear: Hashable, Sendable {
    package var closings: Int
    package var openings: Int
    /// Openings, told or by itself, while the car was drawing current.
    package var hotOpenings: Int

    package init(closings: Int = 0, openings: Int = 0, hotOpenings: Int = 0) {
        self.closings = closings
        self.openings = openings
        self.hotOpenings = hotOpenings
    }

    /// As the board's journal keeps it, so that a contactor's life outlasts the program's.
    package var text: String { "\(closings) \(openings) \(hotOpenings)" }

    /// What the journal kept; a line that cannot be read begins a new life.
    package init(text: String) {
        let counts = text.split(separator: " ").compactMap { Int($0) }
        let isGood = counts.count == 3 && counts.allSatisfy { $0 >= 0 }
        self.init(
            closings: isGood ? counts[0] : 0, openings: isGood ? counts[1] : 0,
            hotOpenings: isGood ? counts[2] : 0)
    }

    /// What a program that ended under a closed contactor could not count: its dead-man opened it.
    ///
    /// - Parameter wasPowered: the board ran on, so that current may have flowed; the loss of the supply
    ///   takes the current away before the contactor falls.
    package mutating func countFall(wasPowered: Bool) {
        guard closings > openings else { return }
        openings = closings
        if wasPowered { hotOpenings += 1 }
    }

    /// The journal's key of one connector's contactor.
    package static func key(of connector: Int) -> String { "contactor.\(connector).life" }

    /// The journal's key of the connector's last closing.
    static func closingKey(of connector: Int) -> String { "contactor.\(connector).closing" }

    /// When a connector's contactor closed last, as an earlier run of the program in this boot kept
    /// it; monotonic. A loss of power opened it anyway, and a boot takes longer than any rest.
    package static func lastClosing(
        of connector: Int, in settings: [String: String], bootID: String
    ) -> Int64? {
        guard let parts = settings[closingKey(of: connector)]?.split(separator: " "),
            parts.count == 2, parts[0] == bootID
        else { return nil }
        return Int64(parts[1])
    }
}
