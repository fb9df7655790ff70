import Charging
import Glibc
import Service
import Station

// The load of the power-cut test, on the board's real journal in the present folder.
//
//   journal-load write       starts, values and stops for ever; `COMMITTED n` after each
//   journal-load check N     ends with 0 if at least the first N steps are there, whole and in order

/// What step n of the load is, so that the check knows it without having been told.
func register(_ step: Int) -> WattHours { WattHours(Int64(step) * 10) }

func load() async throws {
    let journal = try await BoardJournal.open(path: "journal.db", bootID: "load", log: .silent)
    var step = 0
    func committed() {
        step += 1
        print("COMMITTED \(step)")
        fflush(nil)
    }
    while true {
        let charge = try await journal.start(
            connector: 1, token: "LOAD", isRemote: false, register: register(step), at: now())
        committed()
        try await journal.sample(
            StoredSample(
                MeterSnapshot(register: register(step), askedAt: 0, at: now()), .samplePeriodic),
            of: charge)
        committed()
        try await journal.stop(
            .init(
                transaction: charge, register: register(step), at: now(), reason: .local,
                token: nil, isLastGood: false))
        committed()
    }
}

func now() -> Timestamp { SystemClock().now }

func check(_ least: Int) async throws -> Bool {
    let journal = try await BoardJournal.open(path: "journal.db", bootID: "load", log: .silent)
    let notices = try await journal.view().notices
    var step = 0
    while let message = try await journal.nextMessage() {
        let told: WattHours? =
            switch message.kind {
            case .start(let start) where step % 3 == 0: start.meterStart
            case .sample(_, _, let stored) where step % 3 == 1: stored.register
            case .stop(let stop) where step % 3 == 2: stop.meterStop
            case .start, .sample, .stop: nil
            }
        guard told == register(step) else {
            print("step \(step) is \(message.kind)")
            return false
        }
        if case .start = message.kind {
            try await journal.confirmStart(message, operatorID: step)
        } else {
            try await journal.confirm(message)
        }
        step += 1
    }
    print("\(step) steps, \(least) were promised, notices \(notices)")
    return step >= least && notices.isEmpty
}

switch CommandLine.arguments.dropFirst().first {
case "write": try await load()
case "check":
    let least = Int(CommandLine.arguments.last ?? "") ?? .max
    exit(try await check(least) ? 0 : 1)
default: exit(2)
}
