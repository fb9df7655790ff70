import Charging
import Testing

@testable import HAL

@Suite struct `Bytes as a meter sends them` {
    private func image(_ golden: Golden) -> RegisterImage {
        var image = RegisterImage()
        for answer in golden.answers {
            let bytes = answer.bytes.split(separator: " ").compactMap { UInt16($0, radix: 16) }
            let words = stride(from: 0, to: bytes.count, by: 2).map {
                bytes[$0] << 8 | bytes[$0 + 1]
            }
            image.store(words, function: answer.function, address: answer.address)
        }
        return image
    }

    @Test(arguments: Golden.all)
    func `come out to the digit`(golden: Golden) throws {
        let readings = try profiles.meter(golden.profile).decode(
            image(golden), name: "m", askedAt: 0, at: Timestamp(milliseconds: 0))
        #expect(readings.energy == WattHours(golden.energy))
        #expect(readings.exported?.value == golden.exported)
        #expect(readings.voltages.map(\.millivolts) == golden.millivolts)
        #expect(readings.currents.map(\.milliamperes) == golden.milliamperes)
        #expect(readings.power?.value == golden.power)
        #expect(readings.powers.map(\.value) == golden.powers)
        #expect(readings.frequency == golden.millihertz.map(thousandths))
        #expect(readings.powerFactor == golden.powerFactor.map(thousandths))
        // Nothing that the profile names was left unread.
        #expect(readings.doubts.isEmpty)
    }

    private func thousandths(_ value: Int64) -> Decimal {
        Decimal(significand: Int128(value), scale: 3)
    }

    /// Bauds, parity (none unless it says even) and unit, as the meter leaves the factory: from the makers'
    /// papers, for SDM, EM and Acrel also from those who run them. One stop bit each.
    private static let lines: [String: (baud: Int, isEven: Bool, unit: Int)] = [
        "abb-b21": (9600, true, 1), "abb-b23": (9600, true, 1), "acrel-adw300": (1200, false, 1),
        "chint-dtsu666": (9600, false, 1), "em24-old": (9600, false, 1), "em340": (9600, false, 1),
        "inepro-pro380": (9600, true, 1), "iskra-wm3m4": (115_200, false, 33),
        "janitza-umg604": (9600, false, 1), "janitza-umg96": (9600, false, 1),
        "lovato-dmg": (9600, false, 1), "orno-we516": (9600, true, 1),
        "schneider-iem3000": (19_200, true, 1), "sdm120": (2400, false, 1),
        "sdm230": (9600, false, 1), "sdm630": (9600, false, 1), "sdm72": (9600, false, 1),
        "siemens-pac2200": (19_200, true, 1), "socomec-countis-e2x": (38_400, false, 5),
        "socomec-countis-e3x": (38_400, false, 5),
    ]

    @Test func `are asked for at the speed and unit that the meter came with`() throws {
        for name in try profiles.names(.meters) {
            let line = try profiles.meter(name).line
            let known = try #require(Self.lines[name], "\(name) has no row")
            #expect(line.baud == known.baud, "\(name)")
            #expect(line.parity == (known.isEven ? .even : .none), "\(name)")
            #expect(line.unit == known.unit && line.stopBits == 1, "\(name)")
        }
    }

    @Test func `stand here for every profile of the folder`() throws {
        #expect(Golden.all.map(\.profile).sorted() == (try profiles.names(.meters)))
    }

    @Test(arguments: Golden.all)
    func `of one kind are not taken for an absurd one of another's`(golden: Golden) throws {
        let image = image(golden)
        for name in try profiles.names(.meters) where name != golden.profile {
            // Whoever takes the wrong profile gets an error or the same map's values, never a
            // number out of thin air.
            guard
                let readings = try? profiles.meter(name).decode(
                    image, name: "m", askedAt: 0, at: Timestamp(milliseconds: 0))
            else { continue }
            #expect(
                readings.energy == WattHours(golden.energy), "\(golden.profile) read as \(name)")
        }
    }
}

@Suite struct `Every meter's profile` {
    static let names = Golden.all.map(\.profile)

    @Test(arguments: names)
    func `plans reads that cover every value and no read that is too long`(name: String) throws {
        let profile = try profiles.meter(name)
        for (plan, most) in [
            (profile.plan(), profile.maxRegistersPerRead),
            (profile.cautiousPlan(), profile.fallbackRegistersPerRead),
        ] {
            #expect(plan.first?.quantities.contains(.energyImport) == true)
            #expect(plan.allSatisfy { $0.count <= most })
            for (quantity, value) in profile.values {
                for stretch in value.stretches {
                    #expect(
                        plan.contains {
                            $0.function == value.function && $0.address <= stretch.address
                                && stretch.address + stretch.count <= $0.address + $0.count
                                && $0.quantities.contains(quantity)
                        })
                }
            }
        }
    }

    @Test(arguments: names)
    func `reads the billed register by itself once the meter is choosy`(name: String) throws {
        let plan = try profiles.meter(name).cautiousPlan()
        #expect(
            plan.filter { $0.quantities.contains(.energyImport) }
                .allSatisfy { $0.quantities == [.energyImport] })
    }

    @Test(arguments: names)
    func `bounds whatever proves it, and says where it comes from`(name: String) throws {
        let profile = try profiles.meter(name)
        #expect(!profile.source.isEmpty && profile.sources >= 1)
        #expect(profile.quarantineMilliseconds >= profile.timeoutMilliseconds)
        for (quantity, value) in profile.values {
            #expect(value.minimum != nil, "\(quantity)")
            if !quantity.isEnergy { #expect(value.maximum != nil, "\(quantity)") }
        }
    }
}
