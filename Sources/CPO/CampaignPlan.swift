import Charging
import JSON

/// Which stations get which image, in which portions, and when the house stops by itself.
package struct CampaignPlan: Hashable, Sendable, Stored {
    package static let mostStations = 10_000
    package static let waveSizes = 1...1000
    /// A week: who is away at weekends, or in use all day, is waited for.
    package static let standardWaitHours = 168

    package var name: String
    package var image: String
    /// What a station that took it tells at its boot; nil: nobody knows.
    package var version: String?
    /// SignedUpdateFirmware instead of UpdateFirmware. Security white paper §5.1.
    package var isSigned: Bool
    /// Sizes of the waves; the last one is repeated. One after the other is done.
    package var waves: [Int] = [1, 5, 25]
    /// So many stations that failed pause it; after a resume as many more.
    package var pauseAfterFailures = 1
    /// Of one station, the first included.
    package var tries = 2
    package var retryMinutes = 30
    /// From an order to its end; then the try has failed.
    package var deadlineMinutes = 120
    /// So long one whose turn it is may be away or in use; then it goes on without it.
    package var waitHours = standardWaitHours
    /// The campaign that this one takes back.
    package var rollbackOf: String?

    package init(name: String, image: FirmwareImage, isSigned: Bool? = nil) {
        self.name = name
        self.image = image.id
        version = image.version
        self.isSigned = isSigned ?? image.isSigned
    }

    /// Which wave the station at a place in the list belongs to, from 0.
    package func wave(of position: Int) -> Int {
        var (wave, left) = (0, position)
        while true {
            let size = waves.isEmpty ? 1 : waves[min(wave, waves.count - 1)]
            if left < size { return wave }
            if wave >= waves.count - 1 { return wave + left / size }
            left -= size
            wave += 1
        }
    }

    package var stored: JSONValue {
        .members([
            "name": .string(name), "image": .string(image), "version": .text(version),
            "signed": .bool(isSigned), "waves": .array(waves.map { .number($0) }),
            "pauseAfterFailures": .number(pauseAfterFailures), "tries": .number(tries),
            "retryMinutes": .number(retryMinutes), "deadlineMinutes": .number(deadlineMinutes),
            "waitHours": .number(waitHours), "rollbackOf": .text(rollbackOf),
        ])
    }

    package init(stored: JSONValue) throws {
        name = try stored.text("name")
        image = try stored.text("image")
        version = try stored.textOrNil("version")
        isSigned = try stored.bool("signed")
        waves = try stored.optional("waves") { $0.array?.compactMap(\.int) } ?? [1]
        pauseAfterFailures = try stored.int("pauseAfterFailures")
        tries = try stored.int("tries")
        retryMinutes = try stored.int("retryMinutes")
        deadlineMinutes = try stored.int("deadlineMinutes")
        waitHours = try stored.intOrNil("waitHours") ?? Self.standardWaitHours
        rollbackOf = try stored.textOrNil("rollbackOf")
    }
}

/// Which stations a campaign is for: all that fit every word that is said.
package struct CampaignSelection: Hashable, Sendable {
    /// Ignoring case.
    package var vendor: String?
    package var model: String?
    /// The version they run now.
    package var firmware: String?
    package var location: String?
    /// By id, in this order; empty: no list.
    package var stations: [String] = []

    package init() {}

    package var isEmpty: Bool { self == CampaignSelection() }

    func fits(_ station: StationRecord) -> Bool {
        isSame(vendor, station.identity?.vendor) && isSame(model, station.identity?.model)
            && (firmware.map { $0 == station.identity?.firmware } ?? true)
    }
}

extension FirmwareImage {
    /// By its label; one without a label is for any.
    func isFor(_ station: StationRecord) -> Bool {
        isSame(vendor, station.identity?.vendor) && isSame(model, station.identity?.model)
    }
}

/// Ignoring case; nothing wanted: all the same.
private func isSame(_ wanted: String?, _ found: String?) -> Bool {
    wanted.map { $0.lowercased() == found?.lowercased() } ?? true
}
