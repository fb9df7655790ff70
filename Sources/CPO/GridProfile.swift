import Charging
import JSON

/// The profiles by which a shared connector is told its limits.
enum GridProfile {
    /// One number a connector and part, so that a new one replaces the old.
    private static let first: [GridMachine.Part: Int] = [.fallback: 991_000, .present: 992_000]

    /// 2020-01-01: so long past that a clock far behind ours does not put a limit off.
    private static let start = Timestamp(seconds: 1_577_836_800)

    static func id(_ part: GridMachine.Part, _ connector: ConnectorNumber) -> Int {
        (first[part] ?? 0) + connector
    }

    static func isOurs(_ id: Int) -> Bool { (991_000..<993_000).contains(id) }

    /// Both are TxDefaultProfiles: they hold for every charge, need no transaction's number and
    /// survive boot and end of charge. The one of the moment lies above the fallback and runs out.
    static func profile(
        _ part: GridMachine.Part, _ limit: Amperes, expires: Timestamp?,
        _ outlet: FuseTree.Outlet, in tree: FuseTree
    ) -> ChargingProfile {
        let supply = tree.supply(of: outlet)
        let isAbove = part == .present && outlet.fallback != nil
        return ChargingProfile(
            id: id(part, outlet.id.connector), stackLevel: isAbove ? 1 : 0,
            purpose: .transactionDefault, kind: .absolute, validTo: expires,
            schedule: ChargingSchedule(
                unit: outlet.unit,
                periods: [
                    .init(
                        start: 0, tenths: supply.tenths(of: limit, in: outlet.unit),
                        phases: supply.phases)
                ],
                start: start))
    }
}

extension GridMachine.Told {
    var stored: JSONValue {
        .members([
            "fallback": fallback.stored, "present": present.stored,
            "refused": .text(refused?.rawValue), "bootedAt": .moment(bootedAt),
            "takenOver": .bool(isTakenOver),
        ])
    }

    /// Of a row that says nothing: nothing was told.
    init(stored: JSONValue) throws {
        self.init()
        fallback = try GridMachine.Slot(stored: stored["fallback"])
        present = try GridMachine.Slot(stored: stored["present"])
        refused = try stored.textOrNil("refused").flatMap(GridMachine.Part.init(rawValue:))
        bootedAt = try stored.timeOrNil("bootedAt")
        isTakenOver = stored["takenOver"]?.bool ?? false
    }
}

extension GridMachine.Slot {
    fileprivate var stored: JSONValue {
        .members([
            "confirmed": confirmed.map { .number($0.milliamperes) },
            "pending": pending.map { .number($0.milliamperes) }, "expires": .moment(expires),
        ])
    }

    fileprivate init(stored: JSONValue?) throws {
        self.init(
            confirmed: try stored?.int64OrNil("confirmed").map { Amperes(milliamperes: $0) },
            pending: try stored?.int64OrNil("pending").map { Amperes(milliamperes: $0) },
            expires: try stored?.timeOrNil("expires"))
    }
}
