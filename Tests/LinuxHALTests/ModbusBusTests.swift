import HAL
import LinuxHAL
import Service
import Simulation
import TestSupport
import Testing

@Suite(.serialized) struct `A serial bus` {
    let rig: SerialRig

    init() throws { rig = try SerialRig() }

    @Test func `reads what is there`() async throws {
        defer { rig.stop() }
        #expect(try await rig.read(10) == [1010, 1011, 1012])
        #expect(try await rig.read(20, unit: 2, count: 1) == [1020])
    }

    @Test(arguments: [
        SlaveFault.Kind.silence, .checkSum, .truncated, .garbage, .wrongUnit, .echo,
    ])
    func `gives an error and never a value`(kind: SlaveFault.Kind) async throws {
        defer { rig.stop() }
        rig.slave.units.suffer(SlaveFault(kind), unit: 1)
        await #expect(throws: BusError.self) { try await rig.read(10, timeout: kind.patience) }
        #expect(try await rig.read(20) == [1020, 1021, 1022])
        #expect(try await rig.read(30) == [1030, 1031, 1032])
    }

    @Test func `tells silence from a foreign answer and from a refusal`() async throws {
        defer { rig.stop() }
        rig.slave.units.suffer(SlaveFault(.silence), unit: 1)
        await #expect(throws: BusError.noAnswer) {
            try await rig.read(10, timeout: SerialRig.impatience)
        }
        rig.slave.units.suffer(SlaveFault(.exception, code: 6), unit: 1)
        await #expect(throws: BusError.refused(code: 6)) { try await rig.read(10) }
        await #expect(throws: BusError.refused(code: 2)) { try await rig.read(199) }
        rig.slave.units.suffer(SlaveFault(.wrongUnit), unit: 1)
        do throws(BusError) {
            _ = try await rig.read(10)
            Issue.record("another unit's answer was taken")
        } catch {
            guard case .wrongAnswer = error else {
                Issue.record("\(error)")
                return
            }
        }
    }

    @Test func `never takes a late answer for the next one's`() async throws {
        defer { rig.stop() }
        for round in 0..<2 {
            rig.slave.units.suffer(SlaveFault(.late, milliseconds: 200), unit: 1)
            // The silence outlasts the slowest answer, and this machine's own delays.
            await #expect(throws: BusError.noAnswer) {
                try await rig.read(10 + round, timeout: SerialRig.impatience, quarantine: 1500)
            }
            // The same unit, function and length: only the silence tells these apart.
            #expect(try await rig.read(50 + round) == (0..<3).map { UInt16(1050 + round + $0) })
            #expect(try await rig.read(60, unit: 2) == [1060, 1061, 1062])
        }
    }

    @Test func `lets a dead device rest and its neighbour speak`() async throws {
        defer { rig.stop() }
        rig.slave.units.suffer(SlaveFault(.silence, requests: nil), unit: 1)
        for _ in 0..<ModbusBus.failuresBeforeRest {
            await #expect(throws: BusError.noAnswer) { try await rig.read(10, timeout: 50) }
        }
        do throws(BusError) {
            _ = try await rig.read(10)
            Issue.record("a resting device was asked")
        } catch {
            guard case .resting(let left) = error else {
                Issue.record("\(error)")
                return
            }
            #expect((1...ModbusBus.firstRestMilliseconds).contains(left))
        }
        #expect(try await rig.read(10, unit: 2) == [1010, 1011, 1012])
        #expect(rig.bus.state.devices[1]?.noAnswers == 3)
        #expect(rig.bus.state.devices[1]?.isResting == true)
    }

    @Test func `opens again under the same name after it was unplugged`() async throws {
        defer { rig.stop() }
        #expect(try await rig.read(10) == [1010, 1011, 1012])
        rig.slave.unplug()
        await until { !rig.slave.isUp }
        do throws(BusError) {
            _ = try await rig.read(20)
            Issue.record("a bus without adapter answered")
        } catch {
            guard case .down = error else {
                Issue.record("\(error)")
                return
            }
        }
        #expect(!rig.bus.state.isOpen)
        rig.slave.plugIn()
        await until { rig.slave.isUp }
        var values: [UInt16]?
        await until {
            // While the adapter is on its way back every try fails, at once.
            values = try? await rig.read(30)
            return values != nil
        }
        #expect(values == [1030, 1031, 1032], "\(rig.bus.state)")
        #expect(rig.bus.state.opened == 2)
    }

    @Test func `refuses what its queue cannot hold, and what comes after the end`() async throws {
        rig.slave.units.suffer(SlaveFault(.silence, requests: nil), unit: 1)
        let refused = Lock(0)
        let rules = DeviceRules(timeoutMilliseconds: 100, gapMilliseconds: 0)
        for _ in 0..<200 {
            rig.bus.post(
                unit: 1, rules: rules, priority: .rest,
                prepare: { .readRegisters(function: 3, address: 0, count: 1) }
            ) { result in
                if result == .failure(.busy) { refused.withLock { $0 += 1 } }
            }
        }
        #expect(refused.withLock { $0 } >= 71)
        rig.stop()
        await #expect(throws: BusError.closed) { try await rig.read(1) }
    }

    @Test func `is for one program only`() async throws {
        defer { rig.stop() }
        #expect(try await rig.read(10) == [1010, 1011, 1012])
        let second = ModbusBus(name: "second", address: rig.bus.address)
        defer { second.close() }
        await #expect(throws: BusError.down("another program has this port open")) {
            try await second.call(
                unit: 1, .readRegisters(function: 3, address: 0, count: 1),
                rules: DeviceRules(timeoutMilliseconds: 80, gapMilliseconds: 0), priority: .rest)
        }
    }
}

@Suite(.serialized) struct `A Modbus TCP bus` {
    let slave: TCPSlave

    init() throws {
        slave = try TCPSlave(port: 0, units: SlaveUnits([1: CountingDevice()]))
    }

    private func read(
        _ bus: ModbusBus, _ address: Int, timeout: Int = SerialRig.patience
    ) async throws(BusError) -> [UInt16] {
        try await bus.call(
            unit: 1, .readRegisters(function: 4, address: address, count: 3),
            rules: DeviceRules(timeoutMilliseconds: timeout, gapMilliseconds: 0), priority: .state)
    }

    @Test(arguments: [
        SlaveFault.Kind.silence, .checkSum, .truncated, .wrongUnit, .late, .echo,
    ])
    func `survives a fault and never gives a wrong value`(kind: SlaveFault.Kind) async throws {
        defer { slave.stop() }
        let bus = ModbusBus(name: "tcp", address: .tcp(host: "127.0.0.1", port: slave.port))
        defer { bus.close() }
        #expect(try await read(bus, 5) == [1005, 1006, 1007])
        slave.units.suffer(SlaveFault(kind), unit: 1)
        await #expect(throws: BusError.self) {
            try await read(bus, 10, timeout: kind.patience)
        }
        #expect(try await read(bus, 20) == [1020, 1021, 1022])
        #expect(try await read(bus, 30) == [1030, 1031, 1032])
    }

    @Test(arguments: [10, 11])
    func `takes a gateway's word for a silent device`(code: Int) async throws {
        defer { slave.stop() }
        let bus = ModbusBus(name: "tcp", address: .tcp(host: "127.0.0.1", port: slave.port))
        defer { bus.close() }
        #expect(try await read(bus, 5) == [1005, 1006, 1007])
        slave.units.suffer(SlaveFault(.exception, code: code), unit: 1)
        await #expect(throws: BusError.refused(code: code)) { try await read(bus, 10) }
        #expect(try await read(bus, 20) == [1020, 1021, 1022])
        // The device's own answer may still be under way: it must find nobody.
        #expect(bus.state.opened == 2)
        #expect(bus.state.devices[1]?.noAnswers == 1)
    }

    @Test func `says why nobody is there`() async throws {
        slave.stop()
        let bus = ModbusBus(name: "tcp", address: .tcp(host: "127.0.0.1", port: 1))
        defer { bus.close() }
        await #expect(throws: BusError.down("Connection refused")) { try await read(bus, 5) }
        #expect(bus.state.trouble == "Connection refused")
    }
}

/// Looks again every few milliseconds, for at most ten seconds.
func until(_ isDone: () async -> Bool) async {
    for _ in 0..<2000 {
        if await isDone() { return }
        // The other side is a thread of its own; there is nothing to await but time.
        try? await Task.sleep(for: .milliseconds(5))
    }
}
