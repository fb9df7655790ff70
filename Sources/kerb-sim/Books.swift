import Charging
import Glibc
import JSON
import Service
import Simulation

/// The accounts of one charge, each kept by somebody else.
struct Books {
    private(set) var energies: [(who: String, wattHours: Int64)] = []
    private(set) var bill = ""
    private let register: Int64

    /// The car's own integral and the meter's register, read with the contactor open.
    init(bench: EVSEBench, startRegister: Int64) {
        let (car, register) = bench.now {
            ($0.wattHoursOfCar, $0.registerWattHours - startRegister)
        }
        self.register = register
        energies.append(("the car's own integral", car))
        energies.append(("the meter's registers", register))
    }

    mutating func add(cdr: JSONValue, session: JSONValue?) throws {
        energies.append(
            ("the session at the eMSP", try Self.wattHours(session?["kwh"], "session.kwh")))
        energies.append(
            ("the CDR at the eMSP", try Self.wattHours(cdr["total_energy"], "cdr.total_energy")))
        guard session?["status"]?.string == "COMPLETED" else {
            throw Journey.Broken(
                description: "the session is not COMPLETED: \(session?.text ?? "missing")")
        }
        let cost = cdr["total_cost"]
        guard session?["total_cost"] == cost else {
            throw Journey.Broken(description: "session and CDR differ in total_cost")
        }
        bill =
            "\(cost?["excl_vat"]?.decimal ?? .zero) INR, with VAT \(cost?["incl_vat"]?.decimal ?? .zero) INR"
    }

    /// The final quote at the app: energy, price against the CDR, and the refund of the rest.
    mutating func add(finalOrder order: JSONValue, paid: Decimal) throws {
        guard let energy = Journey.energy(of: order), let total = BecknSums.total(of: order) else {
            throw Journey.Broken(
                description: "the final order has no energy or no quote: \(order.text)")
        }
        energies.append(("the final quote at the app", (energy * Decimal(1000)).floor ?? -1))
        bill += "; the app was quoted \(paid) INR and pays \(total) INR"
    }

    var agree: Bool {
        Set(energies.map(\.wattHours)).count == 1 && (energies.first?.wattHours ?? 0) > 0
    }

    var lines: [String] { energies.map { "\($0.who): \($0.wattHours) Wh" } }

    /// The relay was open before the station said that the charge had stopped.
    func checkOpeningPrecedesStop(_ bench: EVSEBench, _ stage: Stage) async throws {
        guard let openedAt = bench.now({ $0.contactor.openedAt }) else {
            throw Journey.Broken(description: "the relay never opened")
        }
        let opened = bench.wall(openedAt)
        let messages = try await stage.get("/messages?station=\(stage.plan.station)&limit=100")
        let list = messages["items"]?.array ?? messages.array ?? []
        guard let stop = list.first(where: { $0["action"]?.string == "StopTransaction" }),
            let at = stop["at"]?.time
        else { throw Journey.Broken(description: "no StopTransaction in the message log") }
        guard opened <= at else {
            throw Journey.Broken(
                description: "the stop was reported at \(at), the relay opened at \(opened)")
        }
    }

    /// Writes the CDR's periods as a tariff case and lets `kerb-cpo tariffs test` price it.
    func checkPrice(_ cdr: JSONValue, tariff tariffs: [JSONValue], _ stage: Stage) throws {
        guard let periods = cdr["charging_periods"]?.array, let end = cdr["end_date_time"],
            let id = periods.first?["tariff_id"]?.string,
            let tariff = tariffs.first(where: { $0["id"]?.string == id })
        else {
            throw Journey.Broken(
                description: "the CDR names no tariff that can be pulled: \(cdr.text)")
        }
        var segments: [JSONValue] = []
        for (index, period) in periods.enumerated() {
            let dimensions = period["dimensions"]?.array ?? []
            func volume(_ type: String) -> JSONValue? {
                dimensions.first { $0["type"]?.string == type }?["volume"]
            }
            segments.append(
                .members([
                    "start": period["start_date_time"],
                    "end": index + 1 < periods.count ? periods[index + 1]["start_date_time"] : end,
                    "state": volume("PARKING_TIME") == nil ? "CHARGING" : "PARKING",
                    "energy_kwh": volume("ENERGY") ?? 0,
                ]))
        }
        let document: JSONValue = [
            "format_version": 1,
            "cases": [
                [
                    "id": "journey", "ocpi_version": "2.2.1", "status": "acceptance", "kind": "own",
                    "source": ["document": "the journey's CDR"], "time_zone": "Asia/Kolkata",
                    "tariff": tariff, "session": ["segments": .array(segments)],
                    "expected": [
                        "total_cost": [
                            "excl_vat": Self.text(cdr["total_cost"]?["excl_vat"]),
                            "incl_vat": Self.text(cdr["total_cost"]?["incl_vat"]),
                        ]
                    ],
                ]
            ],
        ]
        let file = stage.plan.folder + "/case.json"
        try FileSystem.writeAtomically(document.encoded(), to: file)
        let run = try ChildProcess(
            "tariffs test", program: stage.plan.programs + "/kerb-cpo",
            arguments: ["tariffs", "test", file], logPath: stage.plan.folder + "/tariffs.log")
        guard run.waitForEnd() == 0 else {
            throw Journey.Broken(
                description: "`tariffs test` finds another price; see \(run.logPath)")
        }
    }

    /// Two decimals, as the case format compares.
    private static func text(_ number: JSONValue?) -> JSONValue {
        .string((number?.decimal ?? .zero).rounded(to: 2).description)
    }

    private static func wattHours(_ kWh: JSONValue?, _ name: String) throws -> Int64 {
        guard let value = kWh?.decimal, let wattHours = (value * Decimal(1000)).floor else {
            throw Journey.Broken(
                description: "\(name) is no number of kWh: \(kWh?.text ?? "missing")")
        }
        return wattHours
    }
}
