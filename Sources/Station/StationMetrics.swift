import Charging
import JSON
import OCPP

/// The station's figures for Prometheus, from the same view as `kerb-edge status`.
///
/// Units are Prometheus's base units: seconds, joules, watts, amperes, volts, bytes. Text format
/// 0.0.4.
package struct StationMetrics: Sendable {
    package enum Kind: String, Sendable { case gauge, counter }

    /// One name with what it means; the manual page lists them.
    package struct Family: Hashable, Sendable {
        package let name: String
        package let kind: Kind
        package let help: String
    }

    /// The process's own costs, which the view does not know.
    package struct Process: Hashable, Sendable {
        package var version = ""
        package var residentBytes: Int64 = 0
        package var cpuMilliseconds: Int64 = 0
        package var startedAt: Timestamp?
        package var diskFreeBytes: Int64?

        package init() {}
    }

    private typealias Sample = (labels: String, value: String)

    package static let families = [
        Family(name: "kerb_edge_build_info", kind: .gauge, help: "1, with the agent's version."),
        Family(name: "kerb_edge_link_up", kind: .gauge, help: "1 while the operator is connected."),
        Family(
            name: "kerb_edge_registered", kind: .gauge,
            help: "1 once the operator accepted the boot."),
        Family(
            name: "kerb_edge_journal_messages", kind: .gauge,
            help: "Journalled messages the operator does not have yet."),
        Family(
            name: "kerb_edge_connector_status", kind: .gauge,
            help: "1 for the status the connector is in."),
        Family(
            name: "kerb_edge_energy_allowed", kind: .gauge,
            help: "1 while nothing forbids a closed contactor."),
        Family(
            name: "kerb_edge_hindrances", kind: .gauge, help: "Reasons that forbid energy now."),
        Family(
            name: "kerb_edge_contactor_closed", kind: .gauge,
            help: "1 while the contactor is closed."),
        Family(
            name: "kerb_edge_limit_amperes", kind: .gauge, help: "Offered to the car, per phase."),
        Family(
            name: "kerb_edge_charge_energy_joules", kind: .gauge,
            help: "Delivered by the charge that runs."),
        Family(
            name: "kerb_edge_meter_energy_joules_total", kind: .counter,
            help: "The meter's import register."),
        Family(name: "kerb_edge_meter_power_watts", kind: .gauge, help: "Active power, import."),
        Family(name: "kerb_edge_meter_current_amperes", kind: .gauge, help: "Current of a phase."),
        Family(name: "kerb_edge_meter_voltage_volts", kind: .gauge, help: "Voltage of a phase."),
        Family(
            name: "kerb_edge_meter_age_seconds", kind: .gauge, help: "Age of the meter's values."),
        Family(
            name: "kerb_edge_meter_good", kind: .gauge,
            help: "1 while the meter answers and its values can be trusted."),
        Family(
            name: "kerb_edge_disk_free_bytes", kind: .gauge, help: "Free where the journal lies."),
        Family(
            name: "process_resident_memory_bytes", kind: .gauge, help: "Resident memory size."),
        Family(
            name: "process_cpu_seconds_total", kind: .counter, help: "User and system CPU time."),
        Family(
            name: "process_start_time_seconds", kind: .gauge, help: "Start, in seconds since 1970."),
    ]

    private var samples: [String: [Sample]] = [:]

    /// The text for a status as `StationView.json` gives it.
    package static func text(_ status: JSONValue, _ process: Process) -> String {
        var metrics = StationMetrics()
        metrics.read(status)
        metrics.read(process)
        var text = ""
        for family in families {
            guard let samples = metrics.samples[family.name] else { continue }
            text += "# HELP \(family.name) \(family.help)\n"
            text += "# TYPE \(family.name) \(family.kind.rawValue)\n"
            for sample in samples { text += "\(family.name)\(sample.labels) \(sample.value)\n" }
        }
        return text
    }

    private mutating func read(_ status: JSONValue) {
        add("kerb_edge_link_up", status["link"]?.string == "up")
        add(
            "kerb_edge_registered",
            status["registration"]?.string == RegistrationStatus.accepted.rawValue)
        add("kerb_edge_journal_messages", status["journalDepth"]?.int64)
        for connector in status["connectors"]?.array ?? [] { read(connector: connector) }
    }

    private mutating func read(connector: JSONValue) {
        let label = "connector=\"\(connector["connector"]?.int ?? 0)\""
        let status = connector["status"]?.string
        for known in ConnectorStatus.allCases {
            add(
                "kerb_edge_connector_status", status == known.rawValue,
                "\(label),status=\"\(known.rawValue)\"")
        }
        add("kerb_edge_energy_allowed", connector["energyAllowed"]?.bool ?? false, label)
        add("kerb_edge_hindrances", Int64(connector["hindrances"]?.array?.count ?? 0), label)
        add("kerb_edge_contactor_closed", connector["contactor"]?.string == "closed", label)
        add("kerb_edge_limit_amperes", connector["limitAmperes"]?.number?.text, label)
        add("kerb_edge_charge_energy_joules", joules(connector["charge"]?["energyWh"]), label)
        guard let meter = connector["meter"] else { return }
        add("kerb_edge_meter_energy_joules_total", joules(meter["registerWh"]), label)
        add("kerb_edge_meter_power_watts", meter["powerW"]?.number?.text, label)
        for (name, key) in [
            ("kerb_edge_meter_current_amperes", "currentsA"),
            ("kerb_edge_meter_voltage_volts", "voltagesV"),
        ] {
            for (index, value) in (meter[key]?.array ?? []).enumerated() {
                add(name, value.number?.text, "\(label),phase=\"\(index + 1)\"")
            }
        }
        add("kerb_edge_meter_age_seconds", seconds(meter["ageMilliseconds"]?.int64), label)
        add("kerb_edge_meter_good", meter["quality"]?.string == "good", label)
    }

    private mutating func read(_ process: Process) {
        add("kerb_edge_build_info", "1", "version=\"\(process.version)\"")
        add("process_resident_memory_bytes", process.residentBytes)
        add("process_cpu_seconds_total", seconds(process.cpuMilliseconds))
        add("process_start_time_seconds", seconds(process.startedAt?.milliseconds))
        add("kerb_edge_disk_free_bytes", process.diskFreeBytes)
    }

    private mutating func add(_ name: String, _ value: String?, _ labels: String = "") {
        guard let value else { return }
        samples[name, default: []].append((labels.isEmpty ? "" : "{\(labels)}", value))
    }

    private mutating func add(_ name: String, _ value: Int64?, _ labels: String = "") {
        add(name, value.map { String($0) }, labels)
    }

    private mutating func add(_ name: String, _ value: Bool, _ labels: String = "") {
        add(name, value ? "1" : "0", labels)
    }

    private func joules(_ wattHours: JSONValue?) -> String? {
        wattHours?.int64.map { String($0 * 3600) }
    }

    private func seconds(_ milliseconds: Int64?) -> String? {
        milliseconds.map { Decimal(significand: Int128($0), scale: 3).reduced.description }
    }
}
