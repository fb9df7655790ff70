import Charging
import Testing

@Suite struct `A tariff's price` {
    @Test func `is the same whether segments come at once or one by one`() throws {
        let tariff = Tariff.everyRule
        let usage = Usage.day
        var pricing = Pricing(tariff, in: .utc)
        for (index, segment) in usage.segments.enumerated() {
            pricing.add(segment)
            let sofar = Usage(segments: Array(usage.segments[...index]))
            #expect(pricing.cost() == tariff.cost(of: sofar, in: .utc))
        }
    }

    @Test(arguments: 1...40)
    func `does not depend on how finely the session was observed`(seed: UInt64) {
        var random = Xorshift(state: seed &* 0x9E37_79B9_7F4A_7C15)
        let usage = Usage.day
        var pieces: [Usage.Segment] = []
        for segment in usage.segments {
            // Cut where both time and energy divide evenly, so that the observation says the same.
            let hour = Int64(3600 * 1000)
            let length = segment.end.milliseconds(since: segment.start)
            let parts = length % hour == 0 ? Int64.random(in: 1...6, using: &random) : 1
            guard length % parts == 0, segment.energy.value % parts == 0 else {
                pieces.append(segment)
                continue
            }
            for part in 0..<parts {
                var piece = segment
                piece.start = segment.start.advanced(byMilliseconds: length / parts * part)
                piece.end = piece.start.advanced(byMilliseconds: length / parts)
                piece.energy = WattHours(segment.energy.value / parts)
                pieces.append(piece)
            }
        }
        let whole = Tariff.everyRule.cost(of: usage, in: .utc, digits: 12)
        let fine = Tariff.everyRule.cost(of: Usage(segments: pieces), in: .utc, digits: 12)
        #expect(fine == whole)
    }

    @Test func `has sub-totals that add up to it`() throws {
        // 0.125 + 0.145 + 0.345 = 0.615: rounded alone 0.13 + 0.15 + 0.35 = 0.63, the total is 0.62.
        let tariff = Tariff(elements: [
            Tariff.Element(components: [
                .init(.flat, price: d("0.125")), .init(.energy, price: d("0.145")),
                .init(.time, price: d("0.345")),
            ])
        ])
        let cost = tariff.cost(of: .hour(1000), in: .utc)
        #expect(cost.total.exclVAT == d("0.62"))
        #expect(cost.energy?.exclVAT == d("0.14"))
        #expect(cost.time?.exclVAT == d("0.35"))
        #expect(cost.fixed?.exclVAT == d("0.13"))
    }

    @Test func `gives the leftover cent to a sub-total that can bear it`() {
        let tariff = Tariff(elements: [
            Tariff.Element(components: [
                .init(.energy, price: d("0.004")), .init(.flat, price: d("1.005")),
                .init(.time, price: d("2.005")),
            ])
        ])
        let cost = tariff.cost(of: .hour(1000), in: .utc)
        #expect(cost.total.exclVAT == d("3.01"))
        #expect(cost.energy?.exclVAT == d("0.00"))
        #expect(cost.time?.exclVAT == d("2.00"))
        #expect(cost.fixed?.exclVAT == d("1.01"))
    }

    @Test func `leaves VAT out where it is unknown`() {
        var tariff = Tariff(elements: [
            Tariff.Element(components: [
                .init(.energy, price: d("0.30"), vat: d("19")), .init(.time, price: d("1")),
            ])
        ])
        #expect(tariff.cost(of: .hour(1000), in: .utc).total.inclVAT == nil)
        #expect(tariff.cost(of: .hour(1000), in: .utc).energy?.inclVAT == d("0.36"))
        tariff.elements[0].components[1].price = d("0")
        #expect(tariff.cost(of: .hour(1000), in: .utc).total.inclVAT == d("0.36"))
        tariff.elements[0].components = [.init(.flat, price: d("0"))]
        #expect(
            tariff.cost(of: .hour(1000), in: .utc).total == Price(exclVAT: d("0"), inclVAT: nil))
    }

    @Test func `does not know the VAT of a minimum that names none`() {
        var tariff = Tariff(elements: [
            Tariff.Element(components: [.init(.energy, price: d("0.30"), vat: d("19"))])
        ])
        tariff.minPrice = Price(exclVAT: d("1"))
        #expect(
            tariff.cost(of: .hour(1000), in: .utc).total == Price(exclVAT: d("1"), inclVAT: nil))
        #expect(
            tariff.cost(of: .hour(10_000), in: .utc).total
                == Price(exclVAT: d("3"), inclVAT: d("3.57")))
    }

    @Test func `takes included taxes out again`() {
        var tariff = Tariff(elements: [
            Tariff.Element(components: [.init(.energy, price: d("1.19"), vat: d("19"))])
        ])
        tariff.taxInclusion = .included
        #expect(
            tariff.cost(of: .hour(1000), in: .utc).total
                == Price(exclVAT: d("1.00"), inclVAT: d("1.19")))
    }

    @Test func `lists free stretches as periods that add up to the session`() {
        let cost = Tariff.everyRule.cost(of: .day, in: .utc)
        #expect(cost.periods.first?.start == Usage.day.segments.first?.start)
        #expect(cost.periods.last?.end == Usage.day.segments.last?.end)
        for (one, next) in zip(cost.periods, cost.periods.dropFirst()) {
            #expect(one.end == next.start)
            #expect(one.state != next.state || one.components != next.components)
        }
        #expect(cost.periods.reduce(.zero) { $0 + $1.energy } == Usage.day.energy)
        #expect(cost.periods.contains { !$0.isPriced })
    }

    @Test func `bills energy of a meter value that took no time`() {
        var usage = Usage.hour(1000)
        usage.segments.append(
            .init(
                start: usage.segments[0].end, end: usage.segments[0].end, state: .charging,
                energy: WattHours(500)))
        let tariff = Tariff(elements: [
            Tariff.Element(
                components: [.init(.energy, price: d("1"))], restrictions: .init(maxKWh: d("1.2"))),
            Tariff.Element(components: [.init(.energy, price: d("10"))]),
        ])
        #expect(tariff.cost(of: usage, in: .utc).total.exclVAT == d("4.20"))
    }

    @Test func `bills the start fee from the first moment`() {
        let tariff = Tariff(elements: [Tariff.Element(components: [.init(.flat, price: d("2"))])])
        let now = at("2026-05-04T10:00:00Z")
        let usage = Usage(segments: [.init(start: now, end: now, state: .charging, energy: .zero)])
        #expect(tariff.cost(of: usage, in: .utc).total.exclVAT == d("2.00"))
        #expect(tariff.cost(of: Usage(segments: []), in: .utc).total.exclVAT == d("0.00"))
    }

    @Test func `survives usage and tariffs out of all proportion`() {
        var tariff = Tariff.everyRule
        tariff.elements[0].components[0].price = Decimal(significand: .max, scale: 0)
        tariff.elements[1].components[0].stepSize = .max
        tariff.elements[1].restrictions?.minDurationSeconds = .max
        tariff.elements[1].restrictions?.maxKWh = Decimal(significand: .max, scale: 0)
        let ends: [Int64] = [.min, -1, 0, .max]
        for start in ends {
            for end in ends {
                for energy in ends {
                    let segment = Usage.Segment(
                        start: Timestamp(milliseconds: start), end: Timestamp(milliseconds: end),
                        state: .charging, energy: WattHours(energy), extraMicrowattHours: energy)
                    _ = tariff.cost(of: Usage(segments: [segment, segment]), in: .utc)
                }
            }
        }
    }

    @Test func `quotes an amount of energy at a power`() {
        let tariff = Tariff(elements: [
            Tariff.Element(components: [
                .init(.flat, price: d("1")), .init(.energy, price: d("0.40")),
                .init(.time, price: d("0.60")),
            ])
        ])
        let cost = tariff.quote(
            WattHours(10_000), at: Watts(20_000), from: at("2026-05-04T10:00:00Z"), in: .utc)
        #expect(cost.total.exclVAT == d("5.30"))
        #expect(cost.billedEnergy == WattHours(10_000))
        _ = tariff.quote(WattHours(.max), at: Watts(0), from: at("2026-05-04T10:00:00Z"), in: .utc)
        _ = tariff.quote(WattHours(-5), at: Watts(-5), from: at("2026-05-04T10:00:00Z"), in: .utc)
    }
}

struct Xorshift: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }
}

func d(_ text: String) -> Decimal { Decimal(text)! }

extension Tariff {
    init(elements: [Element]) {
        self.init(
            party: PartyID(country: "DE", party: "KRB"), id: "T", currency: "EUR",
            elements: elements,
            lastUpdated: at("2026-01-01T00:00:00Z"))
    }

    /// Thresholds of every kind, several dimensions, gaps in which nothing is priced.
    static var everyRule: Tariff {
        var night = Restrictions()
        night.startTime = LocalTime(minutes: 22 * 60)
        night.endTime = LocalTime(minutes: 6 * 60)
        var first = Restrictions()
        first.maxKWh = d("7.3")
        first.minDurationSeconds = 600
        var late = Restrictions()
        late.minDurationSeconds = 7200
        late.maxPower = d("30")
        return Tariff(elements: [
            Element(
                components: [.init(.energy, price: d("0.21"), vat: d("19"), stepSize: 100)],
                restrictions: night),
            Element(
                components: [
                    .init(.energy, price: d("0.47"), vat: d("19"), stepSize: 250),
                    .init(.time, price: d("1.1"), vat: d("7"), stepSize: 60),
                ], restrictions: first),
            Element(
                components: [.init(.energy, price: d("0.33"), vat: d("19"))], restrictions: late),
            Element(
                components: [
                    .init(.parkingTime, price: d("3.3"), vat: d("19"), stepSize: 900),
                    .init(.flat, price: d("0.5"), vat: d("19")),
                ], restrictions: late),
        ])
    }
}

extension Tariff.Restrictions {
    init(maxKWh: Decimal) {
        self.init()
        self.maxKWh = maxKWh
    }
}

extension Usage {
    static func hour(_ wattHours: Int64) -> Usage {
        Usage(segments: [
            .init(
                start: at("2026-05-04T10:00:00Z"), end: at("2026-05-04T11:00:00Z"),
                state: .charging, energy: WattHours(wattHours))
        ])
    }

    /// Charging, a pause, charging, parking over midnight.
    static var day: Usage {
        func segment(
            _ start: String, _ end: String, _ state: State, _ energy: Int64, _ power: Decimal?
        ) -> Segment {
            Segment(
                start: at("2026-05-\(start):00Z"), end: at("2026-05-\(end):00Z"), state: state,
                energy: WattHours(energy), power: power)
        }
        return Usage(segments: [
            segment("04T18:00", "04T19:00", .charging, 6060, d("6.06")),
            segment("04T19:00", "04T19:17", .parking, 0, d("0")),
            segment("04T19:17", "04T23:17", .charging, 24_240, d("6.06")),
            segment("04T23:17", "05T08:17", .parking, 7, nil),
        ])
    }
}
