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
            let rows: [Row]
            do throws(StatusSocket.SocketError) {
                let text = try StatusSocket.ask("status", at: settings.socketPath)
                rows = agentRows(text, hasSiteMeter: settings.supply.meter != nil)
                // The agent was started meanwhile and wants the buses.
                cabinet = nil
            } catch {
                let opened = try cabinet ?? Cabinet(settings)
                cabinet = opened
                rows = await directRows(opened, try opened.siteMeter(settings))
            }
            allRead = rows.allSatisfy(\.isRead)
            show(rows, invocation.isJSON, canvas)
        }
        return allRead ? .done : .someFailed
    }

    /// One meter; nil is the site's.
    private struct Row {
        var connector: Int?
        var meter: JSONValue
        var isRead: Bool { meter["error"] == nil && meter["registerWh"] ?? meter["othersA"] != nil }
    }

    private static func agentRows(_ text: String, hasSiteMeter: Bool) -> [Row] {
        // An agent that answers no JSON has no meters to show.
        guard let status = try? JSONValue(parsing: text) else { return [] }
        var rows = (status["connectors"]?.array ?? []).map {
            Row(connector: $0["connector"]?.int ?? 0, meter: $0["meter"] ?? .members([:]))
        }
        if hasSiteMeter {
            // The agent tells what it is for: what others draw besides the outlets.
            let others = status["charging"]?["othersAmperes"]
            rows.append(
                Row(
                    connector: nil,
                    meter: .members([
                        "othersA": others,
                        "error": others == nil ? "the site's meter is silent" : nil,
                    ])))
        }
        return rows
    }

    private static func directRows(
        _ cabinet: Cabinet, _ siteMeter: (any EnergyMeter)?
    ) async -> [Row] {
        var rows: [Row] = []
        for outlet in cabinet.outlets {
            rows.append(Row(connector: outlet.connector, meter: await read(outlet.devices.meter)))
        }
        if let siteMeter { rows.append(Row(connector: nil, meter: await read(siteMeter))) }
        return rows
    }

    private static func read(_ meter: any EnergyMeter) async -> JSONValue {
        do throws(MeterError) {
            let readings = try await meter.readings()
            return json(readings, SystemClock().monotonicMilliseconds - readings.askedAt)
        } catch {
            return .members(["error": .string("\(error)")])
        }
    }

    private static func json(_ readings: MeterReadings, _ age: Int64) -> JSONValue {
        let now = readings.askedAt + age
        let doubtful = readings.doubts.keys.map {
            ($0.rawValue, JSONValue.string("\(readings.quality(of: $0, at: now))"))
        }
        return .members([
            "registerWh": .number(readings.energy.value),
            "exportedWh": readings.exported.map { .number($0.value) },
            "powerW": readings.power.map { .number($0.value) },
            "powersW": .array(readings.powers.map { .number($0.value) }),
            "currentsA": .array(readings.currents.map { .number($0.decimal.reduced) }),
            "voltagesV": .array(readings.voltages.map { .number($0.decimal.reduced) }),
            "frequencyHz": readings.frequency.map { .number($0.reduced) },
            "powerFactor": readings.powerFactor.map { .number($0.reduced) },
            "ageMilliseconds": .number(age),
            "quality": .string("\(readings.quality.aged(milliseconds: age))"),
            "qualities": doubtful.isEmpty
                ? nil : .object(Dictionary(uniqueKeysWithValues: doubtful)),
        ])
    }

    private static func show(_ rows: [Row], _ isJSON: Bool, _ canvas: Canvas) {
        if isJSON {
            let values = rows.map { row in
                JSONValue.members([
                    "connector": row.connector.map { .number($0) },
                    "site": row.connector == nil ? true : nil, "meter": row.meter,
                ])
            }
            print(JSONValue.array(values).text)
        } else {
            canvas.draw(
                rows.flatMap { row in
                    [row.connector.map { "connector \($0)" } ?? "site"] + valueLines(row.meter)
                }.joined(separator: "\n"))
        }
    }

    /// A line per value: name, value, unit, age, quality.
    private static func valueLines(_ meter: JSONValue) -> [String] {
        var lines: [String] = []
        let age = meter["ageMilliseconds"]?.int ?? 0
        let whole = meter["quality"]?.string ?? ""
        func line(_ name: String, _ key: String, _ value: JSONValue?, _ unit: String) {
            guard let text = value?.number?.text else { return }
            let quality = meter["qualities"]?[key]?.string ?? (whole == "stale" ? whole : "good")
            lines.append(
                "  \(name.padded(14))\(text.padded(-14)) \(unit.padded(3))"
                    + "\(String(age).padded(-7)) ms  \(quality)")
        }
        line("energy import", "energyImport", meter["registerWh"], "Wh")
        line("energy export", "energyExport", meter["exportedWh"], "Wh")
        line("power", "power", meter["powerW"], "W")
        for (name, keys, unit) in [
            ("power", "powersW", "W"), ("current", "currentsA", "A"), ("voltage", "voltagesV", "V"),
        ] {
            for (index, value) in (meter[keys]?.array ?? []).enumerated() {
                line("\(name) L\(index + 1)", "\(name)L\(index + 1)", value, unit)
            }
        }
        let others = (meter["othersA"]?.array ?? []).compactMap { $0.number?.text }
        if !others.isEmpty {
            lines.append("  other consumers draw \(others.joined(separator: "/")) A")
        }
        line("frequency", "frequency", meter["frequencyHz"], "Hz")
        line("power factor", "powerFactor", meter["powerFactor"], "")
        // A value that was left out has no line of its own, but its reason has.
        if whole.hasPrefix("suspect") { lines.append("  \(whole)") }
        if let error = meter["error"]?.string { lines.append("  \(error)") }
        return lines.isEmpty ? ["  not read"] : lines
    }
}

extension String {
    /// Filled up with blanks to `width`, in front where it is negative.
    fileprivate func padded(_ width: Int) -> String {
        let blanks = String(repeating: " ", count: max(0, abs(width) - count))
        return width < 0 ? blanks + self : self + blanks
    }
}
