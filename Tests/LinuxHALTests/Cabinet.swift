import HAL
import LinuxHAL
import Simulation
import TestSupport

/// A cabinet: relay card, pilot controller and meter on one TCP bus, moved by hand.
struct Cabinet {
    let clock = ManualClock()
    let bench: EVSEBench
    let slave: TCPSlave
    let bus: ModbusBus

    init(firmware: UInt16 = 17, meter: EastronMeter.Model = .sdm630) throws {
        bench = EVSEBench(name: "1", phases: 3, startWattHours: 812_345, clock: clock)
        slave = try TCPSlave(
            port: 0,
            units: SlaveUnits([
                1: EastronMeter(meter, measuring: bench), 10: RelayCard([0: bench]),
                20: PilotController(bench, firmware: firmware),
            ]))
        bus = ModbusBus(
            name: "cabinet", address: .tcp(host: "127.0.0.1", port: slave.port), clock: clock)
    }

    var contactor: ModbusContactor {
        ModbusContactor(
            name: "K1",
            deadMan: DeadMan(.modbusPulse, opensWithinMilliseconds: 1000, renewMilliseconds: 300),
            bus: bus, unit: 10, coil: 0, profile: RelayProfile(feedback: .input(offset: 0)),
            feedback: .normallyClosed)
    }

    var pilot: ModbusEVSE {
        ModbusEVSE(name: "P1", bus: bus, unit: 20, profile: .init(gapMilliseconds: 0))
    }

    func stop() {
        bus.close()
        slave.stop()
    }
}
