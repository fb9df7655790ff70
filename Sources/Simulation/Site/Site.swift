import Charging
import Service

/// A site of simulated hardware that runs: benches with cars, behind Modbus buses.
package final class Site: Sendable {
    package let benches: [EVSEBench]
    package let cars: [String: SimulatedCar.Model]
    private let faults: [SiteSettings.ScriptedFault]
    /// By the bus's name.
    package let serial: [String: SerialSlave]
    package let tcp: [String: TCPSlave]

    /// Everything answers when it returns.
    package init(_ settings: SiteSettings, clock: any ServiceClock = .system) throws(FileError) {
        var benches: [EVSEBench] = []
        var devices: [String: [Int: any SlaveDevice]] = [:]
        var coils: [SiteSettings.Place: [Int: EVSEBench]] = [:]
        for evse in settings.evses {
            let bench = EVSEBench(
                name: evse.name, phases: evse.phases, millivolts: evse.millivolts,
                startWattHours: evse.startWattHours, clock: clock)
            if evse.isPluggedIn { bench.now { $0.plugIn(evse.car) } }
            devices[evse.meter.bus, default: [:]][evse.meter.unit] = EastronMeter(
                evse.meterModel, measuring: bench, serial: UInt32(truncatingIfNeeded: evse.serial))
            devices[evse.pilot.bus, default: [:]][evse.pilot.unit] = PilotController(
                bench, firmware: UInt16(clamping: evse.pilotFirmware))
            coils[evse.relay, default: [:]][evse.coil] = bench
            benches.append(bench)
        }
        for (place, card) in coils {
            devices[place.bus, default: [:]][place.unit] = RelayCard(card)
        }
        var serial: [String: SerialSlave] = [:]
        var tcp: [String: TCPSlave] = [:]
        do throws(FileError) {
            for bus in settings.buses {
                let units = SlaveUnits(devices[bus.name] ?? [:])
                switch bus.kind {
                case .serial: serial[bus.name] = try SerialSlave(link: bus.link, units: units)
                case .tcp: tcp[bus.name] = try TCPSlave(port: bus.port, units: units)
                }
            }
        } catch {
            // A name that leads nowhere would look like a bus that is silent.
            for slave in serial.values { slave.stop() }
            for slave in tcp.values { slave.stop() }
            throw error
        }
        faults = settings.faults.sorted { $0.afterSeconds < $1.afterSeconds }
        self.benches = benches
        self.serial = serial
        self.tcp = tcp
        cars = Dictionary(
            settings.evses.map { ($0.name, $0.car) }, uniquingKeysWith: { first, _ in first })
    }

    package func bench(_ name: String) -> EVSEBench? { benches.first { $0.name == name } }

    package func units(_ bus: String) -> SlaveUnits? { serial[bus]?.units ?? tcp[bus]?.units }

    /// Lets the scripted faults strike, one after the other; returns after the last or when cancelled.
    package func playFaults(clock: any ServiceClock = .system) async {
        var passed = 0
        for fault in faults {
            do {
                try await clock.sleep(milliseconds: Int64(fault.afterSeconds - passed) * 1000)
            } catch {
                return
            }
            passed = fault.afterSeconds
            units(fault.place.bus)?.suffer(fault.fault, unit: fault.place.unit)
        }
    }

    package func stop() {
        for slave in serial.values { slave.stop() }
        for slave in tcp.values { slave.stop() }
    }
}
