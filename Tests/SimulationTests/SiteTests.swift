import Charging
import HAL
import JSON
import LinuxHAL
import Service
import TestSupport
import Testing
import Web

@testable import Simulation

@Suite struct `A simulated site` {
    let folder = TemporaryFolder()
    let clock = ManualClock()

    private func settings() -> SiteSettings {
        SiteSettings(
            controlPort: 0,
            buses: [
                .init(name: "control", kind: .serial, link: folder.file("control")),
                .init(name: "meters", kind: .serial, link: folder.file("meters")),
                .init(name: "lan", kind: .tcp),
            ],
            evses: [
                .init(
                    name: "A", phases: 3, meter: .init(bus: "meters", unit: 1),
                    meterModel: .sdm630, startWattHours: 123_456,
                    relay: .init(bus: "control", unit: 10), coil: 0,
                    pilot: .init(bus: "control", unit: 11), isPluggedIn: true),
                .init(
                    name: "B", phases: 1, meter: .init(bus: "lan", unit: 1),
                    meterModel: .sdm120, startWattHours: 654_321,
                    relay: .init(bus: "control", unit: 10), coil: 1,
                    pilot: .init(bus: "control", unit: 12), isPluggedIn: true),
            ])
    }

    private func bus(_ site: Site, _ name: String) -> ModbusBus {
        let address: BusAddress =
            if let port = site.tcp[name]?.port {
                .tcp(host: "127.0.0.1", port: port)
            } else {
                .serial(path: folder.file(name), baud: 9600, parity: .none, stopBits: 1)
            }
        return ModbusBus(name: name, address: address, clock: clock)
    }

    @Test(arguments: [("A", "meters", "sdm630", 11, 0), ("B", "lan", "sdm120", 12, 1)])
    func `charges over real Modbus, and meter and car agree to the watt-hour`(
        name: String, line: String, profile: String, pilotUnit: Int, coil: Int
    ) async throws {
        let site = try Site(settings(), clock: clock)
        let (control, meters) = (bus(site, "control"), bus(site, line))
        defer {
            control.close()
            meters.close()
            site.stop()
        }
        let library = ProfileLibrary(folder: Cases.packageRoot + "/hal/profiles")
        let meter = ModbusMeter(
            name: name, profile: try library.meter(profile), bus: meters, unit: 1,
            maximumWatts: 23_000)
        let pilot = ModbusEVSE(name: name, bus: control, unit: pilotUnit)
        let contactor = ModbusContactor(
            name: name,
            deadMan: DeadMan(.modbusPulse, opensWithinMilliseconds: 1000, renewMilliseconds: 300),
            bus: control, unit: 10, coil: coil,
            profile: RelayProfile(feedback: .input(offset: 0)), feedback: .normallyClosed)
        let start = try await meter.readings().energy
        #expect(start == WattHours(name == "A" ? 123_456 : 654_321))

        #expect(try await pilot.reading().value.state == .b)
        pilot.set(.pwm(Amperes(32)))
        _ = try await pilot.reading()
        clock.advance(milliseconds: 1000)
        #expect(try await pilot.reading().value.state == .c)
        for _ in 0..<40 {
            contactor.set(closed: true)
            _ = try await contactor.state()
            clock.advance(milliseconds: 900)
        }
        #expect(try await contactor.state().value == .closed)
        contactor.set(closed: true)
        pilot.set(.x1)
        _ = try await pilot.reading()
        clock.advance(milliseconds: 500)
        #expect(try await meter.readings().power == Watts(0))
        contactor.set(closed: false)
        clock.advance(milliseconds: 20)
        _ = try await contactor.state()
        clock.advance(milliseconds: 20)
        #expect(try await contactor.state().value == .open)

        let end = try await meter.readings().energy
        let car = site.bench(name)?.now { ($0.wattHoursOfCar, $0.contactor.hotOpenings) }
        #expect((end - start).value == car?.0)
        #expect((end - start).value > (name == "A" ? 200 : 60))
        #expect(car?.1 == 0)
    }

    @Test func `opens within a second when nobody renews`() async throws {
        let site = try Site(settings(), clock: clock)
        let control = bus(site, "control")
        defer {
            control.close()
            site.stop()
        }
        let contactor = ModbusContactor(
            name: "A",
            deadMan: DeadMan(.modbusPulse, opensWithinMilliseconds: 1000, renewMilliseconds: 300),
            bus: control, unit: 10, coil: 0, profile: RelayProfile(feedback: .input(offset: 0)),
            feedback: .normallyClosed)
        contactor.set(closed: true)
        _ = try await contactor.state()
        clock.advance(milliseconds: 20)
        #expect(try await contactor.state().value == .closed)
        clock.advance(milliseconds: 5000)
        #expect(try await contactor.state().value == .open)
        let opened = site.bench("A")?.now { $0.contactor.openedAt } ?? 0
        #expect(opened == 1015 * 1_000_000)
    }

    @Test func `breaks when its script says so`() async throws {
        var scripted = settings()
        scripted.faults = [
            .init(
                afterSeconds: 60, place: .init(bus: "lan", unit: 1),
                fault: SlaveFault(.exception, requests: 1, code: 6))
        ]
        let site = try Site(scripted, clock: clock)
        let meters = bus(site, "lan")
        defer {
            meters.close()
            site.stop()
        }
        let playing = Task { [clock] in await site.playFaults(clock: clock) }
        let request = ModbusRequest.readRegisters(function: 4, address: 0x48, count: 2)
        let rules = DeviceRules(timeoutMilliseconds: 500, gapMilliseconds: 0)
        _ = try await meters.call(unit: 1, request, rules: rules, priority: .rest)
        await clock.sleepers(atLeast: 1)
        clock.advance(milliseconds: 60_000)
        await playing.value
        await #expect(throws: BusError.refused(code: 6)) {
            try await meters.call(unit: 1, request, rules: rules, priority: .rest)
        }
    }

    @Test func `shows and takes commands as JSON`() async throws {
        let site = try Site(settings(), clock: clock)
        defer { site.stop() }
        var router = Router()
        SiteControl(site).mount(on: &router)
        let status = SiteControl(site).status
        #expect(status["evses"]?[0]?["meter"]?["registerWattHours"]?.int == 123_456)
        #expect(status["evses"]?[0]?["car"]?["pilot"]?.string == "B")
        #expect(status["evses"]?[0]?["contactor"]?["isClosed"]?.bool == false)
        #expect(router.table.contains { $0.method == "POST" && $0.pattern.hasSuffix("/unplug") })
    }
}

@Suite struct `A site's file` {
    private func problems(_ change: (String) -> String) throws -> String {
        let file = Cases.packageRoot + "/Config/sim.yaml"
        let text = String(decoding: try FileSystem.read(file), as: UTF8.self)
        do throws(ConfigProblems) {
            _ = try Configuration.parse(
                Array(change(text).utf8), file: "sim.yaml", SiteSettings.read)
            return "none"
        } catch {
            return error.description
        }
    }

    @Test func `as it comes with Kerb is good`() throws {
        #expect(try problems { $0 } == "none")
    }

    @Test func `names a bus that does not exist`() throws {
        let text = try problems { $0.replacing("bus: meter-lan", with: "bus: meter-wan") }
        #expect(text.contains("EVSE-2 names the bus meter-wan"))
    }

    @Test func `names two devices in one place and two cars on one coil`() throws {
        #expect(try problems { $0.replacing("unit: 12", with: "unit: 11") }.contains("own unit"))
        #expect(try problems { $0.replacing("coil: 1", with: "coil: 0") }.contains("own coil"))
    }

    @Test func `names a fault of a device that is not there`() throws {
        let fault = "\nfaults: [{afterSeconds: 1, bus: meter-lan, unit: 99, kind: silence}]\n"
        #expect(try problems { $0 + fault }.contains("nothing answers as unit 99 on meter-lan"))
    }

    @Test func `refuses a counter that float32 cannot resolve`() throws {
        let text = try problems { $0.replacing("123456", with: "9000000") }
        #expect(text.contains("whole number from 0 to 7000000"))
    }
}

@Suite struct `The answering side of Modbus` {
    private struct Silent: SlaveDevice {}

    @Test func `refuses what a device cannot do and what no request says`() {
        #expect(SlaveAnswering.answer([3, 0, 0, 0, 1], by: Silent()) == [0x83, 1])
        #expect(SlaveAnswering.answer([3, 0, 0, 0, 126], by: Silent()) == [0x83, 3])
        #expect(SlaveAnswering.answer([3, 0], by: Silent()) == [0x83, 3])
        #expect(SlaveAnswering.answer([16, 0, 0, 0, 2, 4, 1], by: Silent()) == [0x90, 3])
        #expect(SlaveAnswering.answer([99, 0, 0, 0, 2], by: Silent()) == [0xE3, 1])
    }

    @Test func `seals a frame as the vendor's example does`() {
        #expect(SlaveAnswering.checkSum([1, 4, 0, 0, 0, 2]) == [0x71, 0xCB])
    }
}
