import Charging
import HAL
import JSON
import LinuxHAL
import Service
import Station

extension Program {
    /// Every meter once: from the agent if it runs, else from the buses themselves.
    static func readMeters(_ invocation: CommandTable.Invocation) async throws -> ExitCode {
        let settings = try settings(invocation)
        var cabinet: Cabinet?
        var allRead = true
        let canvas = Canvas(invocation)
        _ = try await again(invocation) {
            let rows: [(Int, JSONValue)]
            do throws(StatusSocket.SocketError) {
                let text = try StatusSocket.ask("status", at: settings.socketPath)
                rows = agentRows(text)
            } catch {
                let opened = try cabinet ?? Cabinet(settings)
                cabinet = opened
                rows = await directRows(opened)
            }
            allRead = rows.allSatisfy { $0.1["registerWh"] != nil && $0.1["error"] == nil }
            show(rows, invocation.isJSON, canvas)
        }
        return allRead ? .done : .someFailed
    }

    private static func agentRows(_ text: String) -> [(Int, JSONValue)] {
        // An agent that answers no JSON has no meters to show.
        guard let status = try? JSONValue(parsing: text) else { return [] }
        return (status["connectors"]?.array ?? []).map {
            ($0["connector"]?.int ?? 0, $0["meter"] ?? .members([:]))
        }
    }

    private static func directRows(_ cabinet: Cabinet) async -> [(Int, JSONValue)] {
        var rows: [(Int, JSONValue)] = []
        for outlet in cabinet.outlets {
            do throws(MeterError) {
                let readings = try await outlet.devices.meter.readings()
                let age = SystemClock().monotonicMilliseconds - readings.askedAt
                rows.append((outlet.connector, json(readings, age)))
            } catch {
                rows.append((outlet.connector, .members(["error": .string("\(error)")])))
            }
        }
        return rows
    }

    private static func json(_ readings: MeterReadings, _ age: Int64) -> JSONValue {
        let quality: String =
            switch readings.quality {
            case .good: "good"
            case .suspect(let why): "suspect: \(why)"
            }
        return .members([
            "registerWh": .number(readings.energy.value),
            "powerW": readings.power.map { .number($0.value) },
            "currentsA": .array(readings.currents.map { .number($0.decimal.reduced) }),
            "voltagesV": .array(readings.voltages.map { .number($0.decimal.reduced) }),
            "frequencyHz": readings.frequency.map { .number($0) },
            "powerFactor": readings.powerFactor.map { .number($0) },
            "ageMilliseconds": .number(age),
            "quality": .string(quality),
        ])
    }

    private static func show(_ rows: [(Int, JSONValue)], _ isJSON: Bool, _ canvas: Canvas) {
        if isJSON {
            let values = rows.map { number, meter in
                JSONValue.members(["connector": .number(number), "meter": meter])
            }
            print(JSONValue.array(values).text)
        } else {
            let lines = rows.map { number, meter in
                "connector \(number)  \(StatusScreen.text(ofMeter: meter))"
            }
            canvas.draw(lines.joined(separator: "\n"))
        }
    }

    /// Which known meters answer on a bus.
    static func probe(_ invocation: CommandTable.Invocation) async throws -> ExitCode {
        let settings = try settings(invocation)
        let name = invocation.arguments[0]
        guard let bus = settings.buses.first(where: { $0.name == name }) else {
            let known = settings.buses.map(\.name).joined(separator: ", ")
            throw Failure(code: .usage, text: "no bus is called \(name); known are \(known)")
        }
        let units = try units(invocation.value("--units") ?? "1-16")
        let library =
            settings.profileDirectory.map(ProfileLibrary.init(folder:)) ?? ProfileLibrary.standard
        let profiles = try library.names(.meters).map { try library.meter($0) }
        let probe = ModbusProbe(
            bus: ModbusBus(name: bus.name, address: bus.address), profiles: profiles)
        let findings = try await probe.findings(units: units)
        if invocation.isJSON {
            print(
                JSONValue.array(
                    findings.map {
                        .members([
                            "unit": .number($0.unit),
                            "profiles": .array($0.profiles.map(JSONValue.string)),
                        ])
                    }
                ).text)
        } else {
            for finding in findings {
                let known = finding.profiles.joined(separator: " or ")
                print("unit \(finding.unit)  \(known.isEmpty ? "answers, unknown" : known)")
            }
            if findings.isEmpty { print("nothing answers on \(name)") }
        }
        return findings.isEmpty ? .failed : .done
    }

    /// `1-8,33`
    private static func units(_ text: String) throws -> [Int] {
        var units: [Int] = []
        for part in text.split(separator: ",") {
            let ends = part.split(separator: "-").compactMap { Int($0) }
            guard let first = ends.first, let last = ends.last, ends.count <= 2, first <= last,
                (1...247).contains(first), (1...247).contains(last)
            else {
                throw Failure(code: .usage, text: "--units \(text): say 1-8,33 within 1 to 247")
            }
            units += Array(first...last)
        }
        return units
    }
}
