import Charging
import HAL
import LinuxHAL
import Service
import Simulation
import TestSupport
import Testing

/// A controller with a letter as state, a current and a switch, as Phoenix Contact's are.
private final class LetterController: SlaveDevice {
    struct State: Sendable {
        var letter: UInt16 = 0x42
        var current: UInt16 = 32
        var isOn = false
        var refusesCurrent = false
        var log: [String] = []
    }

    let state = Lock(State())

    func registers(function: Int, address: Int, count: Int) throws(SlaveException) -> [UInt16] {
        guard count == 1 else { throw .illegalAddress }
        return try state.withLock { state throws(SlaveException) in
            switch (function, address) {
            case (4, 100): [state.letter]
            case (3, 528): [state.current]
            default: throw .illegalAddress
            }
        }
    }

    func bits(function: Int, address: Int, count: Int) throws(SlaveException) -> [Bool] {
        guard function == 1, address == 400, count == 1 else { throw .illegalAddress }
        return [state.withLock { $0.isOn }]
    }

    func writeCoil(address: Int, value: UInt16) throws(SlaveException) {
        guard address == 400 else { throw .illegalAddress }
        state.withLock {
            $0.isOn = value == 0xFF00
            $0.log.append($0.isOn ? "on" : "off")
        }
    }

    func writeRegisters(address: Int, values: [UInt16]) throws(SlaveException) {
        guard address == 528, let value = values.first else { throw .illegalAddress }
        try state.withLock { state throws(SlaveException) in
            if state.refusesCurrent { throw .illegalValue }
            state.current = value
            state.log.append("\(value)")
        }
    }
}

@Suite struct `A controller with a switch and letters` {
    private let controller = LetterController()
    private let slave: TCPSlave
    private let bus: ModbusBus

    init() throws {
        slave = try TCPSlave(port: 0, units: SlaveUnits([255: controller]))
        bus = ModbusBus(
            name: "lan", address: .tcp(host: "127.0.0.1", port: slave.port), clock: ManualClock())
    }

    private func pilot(_ board: String) throws -> ModbusEVSE {
        let library = ProfileLibrary(folder: Cases.packageRoot + "/hal/profiles")
        guard case .modbusEVSE(var profile) = try library.board(board).pilot else {
            throw ConfigProblems(all: [])
        }
        profile.gapMilliseconds = 0
        return ModbusEVSE(name: "P1", bus: bus, unit: 255, profile: profile)
    }

    private func stop() {
        bus.close()
        slave.stop()
    }

    @Test func `is told the current before it is switched on, and switched off for X1`()
        async throws
    {
        defer { stop() }
        let pilot = try pilot("phoenix-ev-cc-eth")
        var reading = try await pilot.reading().value
        #expect(reading.state == .b)
        #expect(reading.offered == .zero, "a current that is switched off is no offer")
        pilot.set(.pwm(Amperes(16)))
        reading = try await pilot.reading().value
        #expect(reading.offered == Amperes(16))
        pilot.set(.x1)
        reading = try await pilot.reading().value
        #expect(reading.offered == .zero)
        #expect(controller.state.withLock { $0.log } == ["16", "on", "off"])
    }

    @Test func `is not switched on with a current it did not take`() async throws {
        defer { stop() }
        let pilot = try pilot("phoenix-ev-cc-eth")
        controller.state.withLock { $0.refusesCurrent = true }
        pilot.set(.pwm(Amperes(16)))
        _ = try await pilot.reading()
        #expect(controller.state.withLock { !$0.isOn }, "it would have offered 32 A")
        controller.state.withLock { $0.refusesCurrent = false }
        _ = try await pilot.reading()
        await until { controller.state.withLock { $0.isOn } }
        #expect(controller.state.withLock { $0.current } == 16)
    }

    @Test func `of the other firmware is found out before it is asked for ten times as much`()
        async throws
    {
        defer { stop() }
        let pilot = try pilot("phoenix-ev-cc-eth-wallbe")
        pilot.set(.pwm(Amperes(16)))
        do throws(DeviceError) {
            _ = try await pilot.reading()
            Issue.record("a register of 16 was taken for tenths of an ampere")
        } catch {
            #expect("\(error)".contains("another firmware"))
        }
        #expect(controller.state.withLock { $0.current } == 16)
    }
}
