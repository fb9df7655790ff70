import Charging
import JSON
import Service

/// A limit on all outlets together that another program of the site writes: an energy manager, a
/// ripple-control receiver. `{"amperes": 16}` or `{"amperes": [16, 16, 10]}` for L1, L2 and L3, and
/// `"until": "2026-11-27T18:00:00Z"` where it ends by itself. To be replaced by a rename.
package enum SiteLimitFile {
    private static let longestBytes = 4_096
    private static let most: Int64 = 1_000_000

    /// No file is no limit; a file that is no limit is told apart, because then nobody knows.
    package static func read(_ path: String) -> SiteLimitReading {
        // Only a file that is not there is none; a folder nobody may look into hides one.
        guard !FileSystem.isAbsent(path) else { return .none }
        do {
            return read(try FileSystem.read(path, limitBytes: longestBytes))
        } catch {
            return .unreadable("\(error)")
        }
    }

    static func read(_ bytes: [UInt8]) -> SiteLimitReading {
        let tree: JSONValue
        do throws(JSONError) {
            tree = try JSONValue(parsing: bytes)
        } catch {
            return .unreadable("it is no JSON")
        }
        guard let members = tree.object else { return .unreadable("it is no JSON object") }
        if let foreign = members.keys.first(where: { $0 != "amperes" && $0 != "until" }) {
            return .unreadable(
                "unknown member `\(foreign.prefix(32))`; known are amperes and until")
        }
        var until: Timestamp?
        if let value = members["until"] {
            guard let time = value.time else { return .unreadable("`until` is no RFC 3339 time") }
            until = time
        }
        let values = members["amperes"]?.array ?? [members["amperes"] ?? .null]
        let currents = values.compactMap { milliamperes($0) }
        guard currents.count == values.count, currents.count == 1 || currents.count == 3 else {
            return .unreadable("`amperes` must be one number, or three, from 0 to 1000")
        }
        return .limit(
            SiteLimit(
                currents: PhaseCurrents(
                    currents[0], currents[currents.count / 2], currents[currents.count - 1]),
                until: until))
    }

    private static func milliamperes(_ value: JSONValue) -> Int64? {
        guard let whole = value.decimal?.multiplied(by: Decimal(1000))?.floor,
            (0...most).contains(whole)
        else { return nil }
        return whole
    }
}
