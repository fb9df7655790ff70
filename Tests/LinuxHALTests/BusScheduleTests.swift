import Charging
import HAL
import LinuxHAL
import Service
import Simulation
import TestSupport
import Testing

@Suite(.serialized) struct `A bus with a dead device` {
    let rig: SerialRig

    init() throws { rig = try SerialRig() }

    /// Asks the dead device over and over at meter's priority, until told to end.
    private func hammerTheDead(_ isOver: Lock<Bool>) async {
        let rules = DeviceRules(
            timeoutMilliseconds: Self.deadTimeout, gapMilliseconds: 0,
            quarantineMilliseconds: Self.deadQuarantine)
        while !isOver.withLock({ $0 }) {
            // The dead device's errors are what this is about.
            _ = try? await rig.bus.call(
                unit: 1, .readRegisters(function: 3, address: 0, count: 1), rules: rules,
                priority: .energy)
            await Task.yield()
        }
    }

    private static let deadTimeout = 200
    private static let deadQuarantine = 600

    /// The longest way from one answer of a live device to the next, in milliseconds.
    private func longestWay(
        _ priority: BusPriority, answers: Int
    ) async throws -> (longest: Int64, errors: Int) {
        let rules = DeviceRules(timeoutMilliseconds: 2000, gapMilliseconds: 0)
        var last = SystemClock().monotonicMilliseconds
        var longest: Int64 = 0
        var errors = 0
        for number in 0..<answers {
            do throws(BusError) {
                let values = try await rig.bus.call(
                    unit: 2, .readRegisters(function: 3, address: number % 100, count: 1),
                    rules: rules, priority: priority)
                #expect(values == [UInt16(1000 + number % 100)])
            } catch {
                errors += 1
            }
            let now = SystemClock().monotonicMilliseconds
            longest = max(longest, now - last)
            last = now
        }
        return (longest, errors)
    }

    @Test func `keeps the safety polls of the others within one of its time-outs`() async throws {
        defer { rig.stop() }
        rig.slave.units.suffer(SlaveFault(.silence, requests: nil), unit: 1)
        // It is known to be dead once it was silent four times: each costs its silence.
        for _ in 0...ModbusBus.failuresBeforeRest {
            await until {
                do throws(BusError) {
                    _ = try await rig.read(0, timeout: Self.deadTimeout)
                } catch {
                    guard case .resting = error else { return true }
                }
                return false
            }
        }
        let isOver = Lock(false)
        try await withThrowingTaskGroup { group in
            group.addTask { await hammerTheDead(isOver) }
            let tried = rig.slave.units.requests(of: 1)
            var longest: Int64 = 0
            // Until the dead one was tried again, at least twice.
            while rig.slave.units.requests(of: 1) < tried + 2 {
                let way = try await longestWay(.state, answers: 50)
                #expect(way.errors == 0)
                longest = max(longest, way.longest)
            }
            isOver.withLock { $0 = true }
            // A try takes its time-out; its silence of 600 ms is not the others' business. The rest
            // is the test's own machine.
            #expect(longest >= Int64(Self.deadTimeout), "the rig can see the harm")
            #expect(longest < Int64(Self.deadTimeout + Self.deadQuarantine))
            try await group.waitForAll()
        }
    }

    @Test func `gives a dead device at most a tenth of a shared line`() async throws {
        defer { rig.stop() }
        #expect(try await rig.read(10, unit: 2) == [1010, 1011, 1012])
        rig.slave.units.suffer(SlaveFault(.silence, requests: nil), unit: 1)
        let rules = DeviceRules(
            timeoutMilliseconds: 30, gapMilliseconds: 0, quarantineMilliseconds: 3000)
        var rests: [Int64] = []
        while rests.last ?? 0 <= ModbusBus.longestRestMilliseconds, rests.count < 8 {
            do throws(BusError) {
                _ = try await rig.bus.call(
                    unit: 1, .readRegisters(function: 3, address: 0, count: 1), rules: rules,
                    priority: .opening)
            } catch {}
            if let failure = await resting(rules) { rests.append(failure) }
        }
        // Nine times what a try costs the line, and no more.
        #expect(rests.last ?? 0 > ModbusBus.longestRestMilliseconds)
        #expect(rests.allSatisfy { $0 <= 9 * 3030 })
    }

    /// How long the device still rests; nil when it does not.
    private func resting(_ rules: DeviceRules) async -> Int64? {
        do throws(BusError) {
            _ = try await rig.bus.call(
                unit: 1, .readRegisters(function: 3, address: 0, count: 1), rules: rules,
                priority: .energy)
        } catch {
            if case .resting(let left) = error { return left }
        }
        return nil
    }
}

@Suite struct `The queue of a bus` {
    @Test func `lets the urgent go first, and the older of two alike`() async throws {
        let slave = try TCPSlave(port: 0, units: SlaveUnits([1: CountingDevice()]))
        let bus = ModbusBus(name: "q", address: .tcp(host: "127.0.0.1", port: slave.port))
        defer {
            bus.close()
            slave.stop()
        }
        let isHeld = Lock(false)
        let gate = BlockingQueue<Bool>(limit: 1)
        let rules = DeviceRules(timeoutMilliseconds: 2000, gapMilliseconds: 0)
        let done = Lock(0)
        func post(_ priority: BusPriority, _ prepare: @escaping @Sendable () -> ModbusRequest?) {
            bus.post(unit: 1, rules: rules, priority: priority, prepare: prepare) { _ in
                done.withLock { $0 += 1 }
            }
        }
        post(.rest) {
            isHeld.withLock { $0 = true }
            _ = gate.take(most: 1)
            return nil
        }
        await until { isHeld.withLock { $0 } }
        for priority in BusPriority.allCases.reversed() {
            for number in 0..<2 {
                let address = priority.rawValue * 10 + number
                post(priority) { .readRegisters(function: 3, address: address, count: 1) }
            }
        }
        try gate.put(true)
        await until { done.withLock { $0 } == 11 }
        #expect(slave.units.log.map { $0[3] } == [0, 1, 10, 11, 20, 21, 30, 31, 40, 41])
    }
}
