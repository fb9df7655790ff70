import Charging
import Service
import TestSupport
import Testing

@testable import HAL

let profiles = ProfileLibrary(folder: Cases.packageRoot + "/hal/profiles")

@Suite struct `A meter's profile` {
    /// Bytes as a meter of the kind sends them, put where the profile must look for them.
    private func image(_ parts: (Int, Int, [UInt16])...) -> RegisterImage {
        var image = RegisterImage()
        for (function, address, registers) in parts {
            image.store(registers, function: function, address: address)
        }
        return image
    }

    private func decode(_ name: String, _ image: RegisterImage) throws -> MeterReadings {
        try profiles.meter(name).decode(
            image, name: "m", askedAt: 7, at: Timestamp(milliseconds: 9))
    }

    @Test func `of an SDM630 decodes float32 to the digit`() throws {
        let readings = try decode(
            "sdm630",
            image(
                // 230.2 V is the vendor's own example, 43 66 33 34.
                (4, 0x0000, [0x4366, 0x3334, 0x4366, 0x3333, 0x4365, 0x8000]),
                (4, 0x0006, [0x41FE, 0xCCCD, 0x0000, 0x0000, 0x3F80, 0x0000]),
                (4, 0x000C, [0x45E5, 0x2800, 0, 0, 0, 0]),
                (4, 0x0034, [0x45E5, 0x2800]),
                (4, 0x003E, [0x3F7F, 0xBE77]),
                // 49.98 Hz; 812.3455 kWh; 0.001 kWh.
                (4, 0x0046, [0x4247, 0xEB85, 0x444B, 0x161D, 0x3A83, 0x126F])))
        #expect(readings.voltages.map(\.millivolts) == [230_200, 230_200, 229_500])
        #expect(readings.currents.map(\.milliamperes) == [31_850, 0, 1000])
        #expect(readings.power?.value == 7333)
        #expect(readings.powerFactor == Decimal("0.999"))
        #expect(readings.frequency == Decimal("49.98"))
        #expect(readings.energy == WattHours(812_345))
        #expect(readings.exported == WattHours(1))
        #expect(readings.quality == .good)
        #expect(readings.askedAt == 7)
    }

    @Test func `of an SDM120 looks at the single phase's places`() throws {
        let readings = try decode(
            "sdm120",
            image(
                (4, 0x0000, [0x4366, 0x3334]), (4, 0x0006, [0x4200, 0x0000]),
                (4, 0x000C, [0x45E6, 0x0000]), (4, 0x001E, [0x3F80, 0x0000]),
                (4, 0x0046, [0x4248, 0x0000, 0x3F80, 0x0000, 0x0000, 0x0000])))
        #expect(readings.energy == WattHours(1000))
        #expect(readings.exported == .zero)
        #expect(readings.power == Watts(7360))
        #expect(readings.currents == [Amperes(32)])
        #expect(readings.voltages == [Volts(millivolts: 230_200)])
    }

    @Test func `of an EM340 takes the low word first`() throws {
        let readings = try decode(
            "em340",
            image(
                (4, 0x0000, [2301, 0, 2302, 0, 2303, 0]),
                (4, 0x000C, [32_001, 0, 0x86A0, 0x0001, 0, 0]),
                (4, 0x0012, [0xFFF6, 0xFFFF, 0, 0, 0, 0]),
                (4, 0x0028, [0xFFF6, 0xFFFF]),
                (4, 0x0031, [0xFC18, 0, 500, 0x4240, 0x000F]),
                (4, 0x004E, [0xFFFF, 0x7FFF])))
        #expect(readings.energy == WattHours(100_000_000))
        #expect(readings.exported == nil)
        #expect(readings.voltages.map(\.millivolts) == [230_100, 230_200, 230_300])
        #expect(readings.currents.map(\.milliamperes) == [32_001, 100_000, 0])
        #expect(readings.power == Watts(-1))
        #expect(readings.powerFactor == Decimal(-1))
        #expect(readings.frequency == Decimal(50))
    }

    @Test func `of an ABB B23 reads all four registers of its counter`() throws {
        let readings = try decode(
            "abb-b23",
            image(
                // 4 294 967 297 hundredths of a kWh; export not available.
                (3, 0x5000, [0, 1, 0, 1, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF]),
                (3, 0x5B00, [0, 2305, 0, 2299, 0xFFFF, 0xFFFF]),
                (3, 0x5B0C, [0, 1601, 0, 0, 0, 0]),
                (3, 0x5B14, [0xFFFF, 0xFF9C, 5, 0xA136, 0x7FFF, 0xFFFF, 0, 0]),
                (3, 0x5B2C, [5001]), (3, 0x5B3A, [0xFC19])))
        #expect(readings.energy == WattHours(42_949_672_970))
        #expect(readings.exported == nil)
        #expect(readings.voltages.map(\.millivolts) == [230_500, 229_900])
        #expect(readings.currents.first?.milliamperes == 16_010)
        #expect(readings.power == Watts(-1))
        #expect(readings.frequency == Decimal("50.01"))
        #expect(readings.powerFactor == Decimal("-0.999"))
    }

    @Test func `never turns an unavailable counter into a number`() throws {
        let all: [UInt16] = [0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF]
        #expect(throws: MeterError.notAvailable(.energyImport)) {
            try decode("abb-b23", image((3, 0x5000, all)))
        }
        #expect(throws: MeterError.notAvailable(.energyImport)) {
            try decode("sdm630", image((4, 0x0048, [0x7FC0, 0])))
        }
    }

    @Test func `refuses a whole cycle when the voltage shows that words are swapped`() throws {
        #expect(throws: MeterError.implausible(.voltageL1, found: "0 V")) {
            try decode(
                "sdm120", image((4, 0x0000, [0x3334, 0x4366]), (4, 0x0048, [0x3F80, 0])))
        }
    }

    @Test func `needs two reads for an SDM630 in its full size`() throws {
        let plan = try profiles.meter("sdm630").plan()
        #expect(plan.map { [$0.address, $0.count] } == [[0x0034, 24], [0, 18]])
    }

    @Test func `asks an SDM630 for even places and even counts only`() throws {
        for block in try profiles.meter("sdm630").cautiousPlan() {
            #expect(block.address % 2 == 0 && block.count % 2 == 0)
        }
    }

    @Test func `is found beside the program and every one of the folder loads`() throws {
        #expect(ProfileLibrary.standard.folder.hasSuffix("hal/profiles"))
        let meters = try profiles.names(.meters)
        #expect(Set(meters).isSuperset(of: ["sdm630", "sdm120", "em340", "abb-b23"]))
        for name in meters { #expect(try profiles.meter(name).name == name) }
        for name in try profiles.names(.boards) { #expect(try profiles.board(name).name == name) }
    }
}

@Suite struct `A profile file with mistakes` {
    private func problems(_ text: String) -> String {
        do throws(ConfigProblems) {
            _ = try Configuration.parse(Array(text.utf8), file: "m.yaml") {
                MeterProfile(name: "m", $0)
            }
            return "none"
        } catch {
            return error.description
        }
    }

    private let good = """
        title: T
        source: S
        line: {baud: 9600}
        maxRegistersPerRead: 60
        probe: {address: 0x46, type: f32, unit: Hz, minimum: 45, maximum: 65}
        values:
          energyImport: {address: 0x48, type: f32, unit: kWh}
        """

    @Test func `is read when it has none`() { #expect(problems(good) == "none") }

    @Test func `names line, key and mend of a register that is none`() {
        let text = good.replacing("0x48", with: "0x1FFFF")
        #expect(problems(text).contains("m.yaml:7:27"))
        #expect(problems(text).contains("`0x1FFFF` is no register; give 0x0000 to 0xFFFF"))
    }

    @Test func `names a unit that cannot be`() {
        #expect(problems(good.replacing("kWh", with: "V")).contains("give Wh or kWh"))
    }

    @Test func `names an unknown quantity`() {
        let text = good + "\n  energyImprot: {address: 1, type: u16, unit: kWh}"
        #expect(problems(text).contains("did you mean `energyImport`?"))
    }

    @Test func `says that nothing can be billed without the import register`() {
        #expect(
            problems(good.replacing("energyImport", with: "energyExport")).contains(
                "nothing can be billed"))
    }

    @Test func `cannot know a meter by something every meter has`() {
        #expect(
            problems(good.replacing(", minimum: 45, maximum: 65", with: ""))
                .contains("every meter fits"))
    }

    @Test func `cannot let chance choose between two scales`() {
        let text = good.replacing("unit: kWh", with: "unit: kWh, otherScales: [0.1]")
        #expect(problems(text).contains("less than ten times as much"))
    }

    @Test func `says what a signing meter's file lacks`() {
        let text =
            good + """

                signing:
                  format: EDL
                  state: {address: 7000, idle: 0, active: 1, interrupted: 2}
                  status: {address: 7052, ready: 15, errorsFrom: 128}
                  metadata: "{}"
                  metadataPlace: {lengthAddress: 7056, address: 7100, mostBytes: 1024}
                  record: {lengthAddress: 7057, address: 7612, mostBytes: 1024}
                  signature: {lengthAddress: 7058, address: 8188, mostBytes: 128}
                  begin: [{address: 7051}]
                  end: [{value: 0x7200}]
                  endAfterInterruption: [{write: metadata}]
                """
        #expect(problems(text).contains("give OCMF"))
        #expect(problems(text).contains("a step writes something"))
        #expect(problems(text).contains("a step writes to a register"))
    }

    @Test func `says which names there are when one is unknown`() {
        #expect(throws: ConfigProblems.self) { try profiles.meter("../meters/sdm630") }
        do throws(ConfigProblems) {
            _ = try profiles.meter("sdm639")
        } catch {
            #expect(error.description.contains("known are abb-b21, abb-b23, acrel-adw300"))
        }
    }
}

@Suite struct `A board's profile` {
    @Test func `of the cabinet names its dead-man and its drivers`() throws {
        let board = try profiles.board("modbus-cabinet")
        #expect(
            board.deadMan
                == DeadMan(.modbusPulse, opensWithinMilliseconds: 1000, renewMilliseconds: 300))
        #expect(
            board.contactor
                == .modbusRelay(
                    RelayProfile(pulseAddressOffset: 0x200, feedback: .input(offset: 0))))
        #expect(board.pilot == .modbusEVSE(EVSEControllerProfile()))
        #expect(board.capabilities.maximum == Amperes(32))
        #expect(!board.capabilities.canSignalF)
    }

    private func problems(_ text: String) -> String {
        do throws(ConfigProblems) {
            _ = try Configuration.parse(Array(text.utf8), file: "b.yaml") {
                BoardProfile(name: "b", $0)
            }
            return "none"
        } catch {
            return error.description
        }
    }

    @Test func `cannot promise a dead-man that its pulse does not keep`() {
        let good = """
            title: T
            contactor:
              driver: modbus-relay
              pulseAddressOffset: 0x0200
              pulseMilliseconds: 1000
            pilot: {driver: modbus-evse}
            deadMan: {kind: modbus-pulse, opensWithinMilliseconds: 1000, renewMilliseconds: 300}
            capabilities: {maximumAmperes: 32, phases: 3, feedback: coilOnly}
            """
        #expect(problems(good) == "none")
        let long = good.replacing("pulseMilliseconds: 1000", with: "pulseMilliseconds: 10000")
        #expect(problems(long).contains("the pulse is the dead-man"))
        #expect(
            problems(long.replacing("Milliseconds: 1000,", with: "Milliseconds: 10000,"))
                .contains("opens within 1000 ms"))
        #expect(
            problems(good.replacing("kind: modbus-pulse", with: "kind: simulated"))
                .contains("no simulated dead-man"))
    }

    @Test func `without a dead-man says so`() throws {
        #expect(try profiles.board("modbus-cabinet-no-pulse").deadMan.kind == .none)
    }
}
