import CPO
import Charging
import SQL
import TestSupport
import Testing

@Suite struct `Any message of a station` {
    /// The story of a station with two plugs, as events in the order they first happened.
    private static func story(_ random: inout SeededGenerator) -> [(
        Int64, Int, (Int) -> StationEvent
    )] {
        var events: [(Int64, Int, (Int) -> StationEvent)] = []
        for connector in 1...2 {
            var clock = Int64.random(in: 0...50, using: &random)
            var register: Int64 = 1000
            for number in 0..<3 {
                let session = connector * 10 + number
                let (at, wh) = (clock, register)
                events.append(
                    (at, session, { _ in House.start(at, connector: connector, register: wh) }))
                for _ in 0..<Int.random(in: 0...6, using: &random) {
                    clock += Int64.random(in: 1...600, using: &random)
                    let at = clock
                    if Bool.random(using: &random) {
                        let status =
                            ConnectorStatus.allCases.randomElement(using: &random) ?? .charging
                        events.append(
                            (at, session, { _ in House.status(at, status, connector: connector) }))
                    } else {
                        register += Int64.random(in: 0...500, using: &random)
                        let wh = register
                        events.append(
                            (at, session, { House.meter($0, at, wh, connector: connector) }))
                    }
                }
                clock += Int64.random(in: 1...600, using: &random)
                register += Int64.random(in: 0...500, using: &random)
                let (end, last) = (clock, register)
                events.append((end, session, { House.stop($0, end, last) }))
                clock += Int64.random(in: 1...60, using: &random)
            }
        }
        return events.sorted { ($0.0, $0.1) < ($1.0, $1.1) }
    }

    private static func play(
        _ story: [(Int64, Int, (Int) -> StationEvent)], repeating random: inout SeededGenerator,
        chance: Int
    ) async throws -> [String] {
        let house = try await House()
        var numbers: [Int: Int] = [:]
        var told: [(Int64, Int, (Int) -> StationEvent)] = []
        for step in story {
            var batch = [step]
            told.append(step)
            if chance > 0, Int.random(in: 0..<chance, using: &random) == 0,
                let old = told.randomElement(using: &random)
            {
                batch.append(old)
            }
            for (_, session, event) in batch {
                let reply = try await house.apply(event(numbers[session] ?? 0), at: step.0)
                guard case .started(.number(let number), _) = reply else { continue }
                if let known = numbers[session] { #expect(known == number) }
                numbers[session] = number
            }
        }
        let codes = try await house.cpo.suspicions.list().map(\.code.rawValue).sorted()
        let cdrs = try await house.cpo.cdrs.list().cdrs.map { cdr in
            "\(cdr.session.evseUID) \(cdr.session.energy) \(cdr.cost.total.exclVAT) "
                + "\(cdr.cost.billedParkingSeconds) \(cdr.session.usage.energy)"
        }
        return cdrs.sorted() + codes
    }

    @Test(arguments: 1...25)
    func `changes nothing the second time`(seed: Int) async throws {
        var random = SeededGenerator(seed: UInt64(seed))
        let story = Self.story(&random)
        let once = try await Self.play(story, repeating: &random, chance: 0)
        let often = try await Self.play(story, repeating: &random, chance: 2)
        #expect(once == often)
        #expect(once.count >= 6)
    }
}
