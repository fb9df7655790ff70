import Charging
import JSON

/// What commissioning found, for the file and for paper.
package struct CommissioningRecord: Hashable, Sendable {
    package var station: String
    package var board: String
    package var version: String
    package var at: Timestamp
    package var by: String
    package var fuse: Amperes
    package var phases: Int
    /// As configured; `--rotation` had to say the same.
    package var wiring: [ConnectorNumber: PhaseWiring]
    package var maximum: [ConnectorNumber: Amperes]
    package var results: [CommissioningMachine.Result]

    package init(
        station: String, board: String, version: String, at: Timestamp, by: String, fuse: Amperes,
        phases: Int, wiring: [ConnectorNumber: PhaseWiring], maximum: [ConnectorNumber: Amperes],
        results: [CommissioningMachine.Result]
    ) {
        self.station = station
        self.board = board
        self.version = version
        self.at = at
        self.by = by
        self.fuse = fuse
        self.phases = phases
        self.wiring = wiring
        self.maximum = maximum
        self.results = results
    }

    package var isPassed: Bool { !results.isEmpty && results.allSatisfy(\.isPassed) }

    /// `1=RST,2=STR`
    private var rotation: String {
        wiring.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value.rawValue)" }
            .joined(separator: ",")
    }

    package var json: JSONValue {
        .members([
            "station": .string(station), "board": .string(board), "version": .string(version),
            "at": .time(at), "by": .string(by), "fuseAmperes": .number(fuse.decimal),
            "phases": .number(phases), "phaseRotation": .string(rotation),
            "wiring": .object(
                Dictionary(
                    uniqueKeysWithValues: wiring.map { (String($0), .string($1.rawValue)) })),
            "maximumAmperes": .object(
                Dictionary(
                    uniqueKeysWithValues: maximum.map { (String($0), .number($1.decimal)) })),
            "passed": .bool(isPassed),
            "steps": .array(
                results.map { result in
                    .members([
                        "connector": .number(result.connector), "step": .string(result.step),
                        "passed": .bool(result.isPassed), "found": .string(result.found),
                    ])
                }),
        ])
    }

    /// For the folder in the cabinet.
    package var text: String {
        var lines = [
            "Commissioning of \(station), \(at)", "by \(by), kerb-edge \(version), board \(board)",
            "fuse \(fuse.decimal.reduced) A per phase, \(phases) phases"
                + ", wiring \(rotation)", "",
        ]
        for result in results {
            lines.append(
                "\(result.isPassed ? "ok    " : "FAILED") connector \(result.connector), "
                    + "\(result.step): \(result.found)")
        }
        lines += [
            "", isPassed ? "All passed; fuse and wiring are locked." : "NOT passed.", "",
            "Date, signature: ______________________________",
        ]
        return lines.joined(separator: "\n")
    }
}

/// What commissioning measured the cabinet for: a configuration may ask for less, never for more.
package struct CommissioningLock: Hashable, Sendable {
    package var board: String
    package var fuse: Amperes
    package var phases: Int
    package var maximum: [ConnectorNumber: Amperes]
    /// Of outlets whose record has it; which fuse phase a car loads hangs on it.
    package var wiring: [ConnectorNumber: String]

    package init(
        board: String, fuse: Amperes, phases: Int, maximum: [ConnectorNumber: Amperes],
        wiring: [ConnectorNumber: String] = [:]
    ) {
        self.wiring = wiring
        self.board = board
        self.fuse = fuse
        self.phases = phases
        self.maximum = maximum
    }

    /// nil when it is no record that passed.
    package init?(_ record: JSONValue) {
        guard record["passed"]?.bool == true, let board = record["board"]?.string,
            let fuse = Self.amperes(record["fuseAmperes"]), let phases = record["phases"]?.int,
            let outlets = record["maximumAmperes"]?.object
        else { return nil }
        var maximum: [ConnectorNumber: Amperes] = [:]
        for (number, value) in outlets {
            guard let number = Int(number), let amperes = Self.amperes(value) else { return nil }
            maximum[number] = amperes
        }
        var wiring: [ConnectorNumber: String] = [:]
        for (number, value) in record["wiring"]?.object ?? [:] {
            guard let number = Int(number), let text = value.string else { return nil }
            wiring[number] = text
        }
        self.init(board: board, fuse: fuse, phases: phases, maximum: maximum, wiring: wiring)
    }

    private static func amperes(_ value: JSONValue?) -> Amperes? {
        guard let whole = value?.int64 else { return nil }
        return Amperes(whole)
    }

    /// What of a configuration goes beyond; each names key, both values and the mend.
    package func breaches(by other: CommissioningLock) -> [String] {
        let mend =
            "put it back; or `kerb-edge decommission`, start the agent and commission the cabinet again"
        var breaches: [String] = []
        func refuse(_ key: String, _ is: String, _ was: String) {
            breaches.append("\(key) is \(`is`), commissioning locked \(was); \(mend)")
        }
        func text(_ amperes: Amperes) -> String { "\(amperes.decimal.reduced) A" }
        if other.fuse > fuse { refuse("site.fuseAmperes", text(other.fuse), text(fuse)) }
        if other.phases > phases { refuse("site.phases", "\(other.phases)", "\(phases)") }
        if other.board != board { refuse("board", other.board, board) }
        for (number, amperes) in other.maximum.sorted(by: { $0.key < $1.key }) {
            guard let most = maximum[number] else {
                refuse("evses", "connector \(number) added", "\(maximum.count) outlets")
                continue
            }
            if amperes > most {
                refuse("limits.maximumAmperes of connector \(number)", text(amperes), text(most))
            }
            if let was = wiring[number], let now = other.wiring[number], now != was {
                refuse("wiring of connector \(number)", now, was)
            }
        }
        return breaches
    }
}
