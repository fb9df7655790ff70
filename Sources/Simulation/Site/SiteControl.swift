import Charging
import JSON
import Service
import Web

/// Status and control of a site as JSON over loopback HTTP.
///
/// | call | |
/// |---|---|
/// | `GET /site` | every EVSE |
/// | `GET /evses/NAME` | one |
/// | `POST /evses/NAME/plug-in` | a car comes; the body may hold `curve` |
/// | `POST /evses/NAME/unplug` | it leaves |
/// | `POST /evses/NAME/curve` | `{"curve":[{"untilWattHours":200,"milliamperes":32000}]}` |
/// | `POST /evses/NAME/load` | `{"phases":[2]}`: it draws on these alone; `{}` on all |
/// | `POST /evses/NAME/defect` | `{"welded":true}`, `{"stuck":true}`, `{"frozen":true}` |
/// | `POST /buses/NAME/units/N/fault` | `{"kind":"silence","requests":3}`; `{}` heals |
/// | `POST /buses/NAME/unplug`, `…/plug-in` | a serial adapter is pulled out, put back |
package struct SiteControl: Sendable {
    private let site: Site

    package init(_ site: Site) { self.site = site }

    package func mount(on router: inout Router) {
        router.add("GET", "/site") { _ in .json(status) }
        router.add("GET", "/evses/{name}") { request in
            onBench(request) { .json(status(of: $0)) }
        }
        router.add("POST", "/evses/{name}/plug-in") { request in onBench(request, plugIn) }
        router.add("POST", "/evses/{name}/unplug") { request in
            onBench(request) { bench in
                bench.now { $0.unplug() }
                return .json(status(of: bench))
            }
        }
        router.add("POST", "/evses/{name}/curve") { request in onBench(request, setCurve) }
        router.add("POST", "/evses/{name}/load") { request in onBench(request, setLoad) }
        router.add("POST", "/evses/{name}/defect") { request in onBench(request, setDefect) }
        router.add("POST", "/buses/{name}/units/{unit}/fault") { request in setFault(request) }
        router.add("POST", "/buses/{name}/unplug") { request in
            onAdapter(request) { $0.unplug() }
        }
        router.add("POST", "/buses/{name}/plug-in") { request in
            onAdapter(request) { $0.plugIn() }
        }
    }

    // MARK: What is

    package var status: JSONValue {
        .object(["evses": .array(site.benches.map(status(of:)))])
    }

    package func status(of bench: EVSEBench) -> JSONValue {
        let evse = bench.now { $0 }
        func wall(_ at: Int64?) -> JSONValue { at.map { .time(bench.wall($0)) } ?? .null }
        var car = JSONValue.null
        if let present = evse.car {
            car = .object([
                "pilot": .string(present.pilot.rawValue.uppercased()),
                "microWattHours": .number(present.taken.microWattHours),
                "wattHours": .number(evse.wattHoursOfCar),
                "milliamperes": .number(present.milliamperes),
            ])
        }
        return .object([
            "name": .string(evse.name), "car": car,
            "lastCar": evse.lastCar.map {
                .object([
                    "microWattHours": .number($0.microWattHours),
                    "wattHours": .number($0.wattHours),
                ])
            } ?? .null,
            "offeredMilliamperes": .number(evse.offered),
            "milliwatts": .number(evse.milliwatts),
            "meter": .object([
                "microWattHours": .number(evse.meter.microWattHours),
                "registerWattHours": .number(evse.registerWattHours),
            ]),
            "contactor": .object([
                "isCoilOn": .bool(evse.isCoilOn), "isClosed": .bool(evse.contactor.isClosed),
                "closings": .number(evse.contactor.closings),
                "hotOpenings": .number(evse.contactor.hotOpenings),
                "closedAt": wall(evse.contactor.closedAt),
                "openedAt": wall(evse.contactor.openedAt),
            ]),
        ])
    }

    // MARK: What is done to it

    private func onBench(
        _ request: HTTPRequest, _ body: (EVSEBench, JSONValue) -> HTTPResponse
    ) -> HTTPResponse {
        guard let bench = site.bench(request[parameter: "name"]) else {
            return .problem(404, "no such EVSE", detail: request[parameter: "name"])
        }
        return onBody(request) { body(bench, $0) }
    }

    private func onBench(
        _ request: HTTPRequest, _ body: (EVSEBench) -> HTTPResponse
    ) -> HTTPResponse {
        onBench(request) { bench, _ in body(bench) }
    }

    private func onBody(
        _ request: HTTPRequest, _ body: (JSONValue) -> HTTPResponse
    ) -> HTTPResponse {
        if request.body.isEmpty { return body(.object([:])) }
        do throws(JSONError) {
            return body(try JSONValue(parsing: request.body))
        } catch {
            return .problem(400, "the body is no JSON", detail: "\(error)")
        }
    }

    private func plugIn(_ bench: EVSEBench, _ body: JSONValue) -> HTTPResponse {
        var model = site.cars[bench.name] ?? .init()
        if body["curve"] != nil {
            guard let curve = Self.curve(body) else { return Self.noCurve }
            model.curve = curve
        }
        let chosen = model
        bench.now { $0.plugIn(chosen) }
        return .json(status(of: bench))
    }

    private func setCurve(_ bench: EVSEBench, _ body: JSONValue) -> HTTPResponse {
        guard let curve = Self.curve(body) else { return Self.noCurve }
        bench.now { $0.setCurve(curve) }
        return .json(status(of: bench))
    }

    private func setLoad(_ bench: EVSEBench, _ body: JSONValue) -> HTTPResponse {
        let phases = body["phases"]?.array?.map { $0.int ?? 0 }
        guard phases?.allSatisfy({ (1...3).contains($0) }) ?? true else {
            return .problem(
                400, "no such phase", detail: "give {\"phases\":[2]}, from 1 to 3", field: "phases")
        }
        bench.now { $0.loaded = phases.map { Set($0.map { $0 - 1 }) } }
        return .json(status(of: bench))
    }

    private func setDefect(_ bench: EVSEBench, _ body: JSONValue) -> HTTPResponse {
        bench.now { evse in
            if let welded = body["welded"]?.bool { evse.contactor.isWelded = welded }
            if let stuck = body["stuck"]?.bool { evse.contactor.isStuck = stuck }
            if let frozen = body["frozen"]?.bool { evse.freeze(frozen) }
        }
        return .json(status(of: bench))
    }

    private func setFault(_ request: HTTPRequest) -> HTTPResponse {
        guard let units = site.units(request[parameter: "name"]),
            let unit = Int(request[parameter: "unit"]), units.devices[unit] != nil
        else { return .problem(404, "no such unit") }
        return onBody(request) { body in
            guard let word = body["kind"]?.string else {
                units.suffer(nil, unit: unit)
                return .noContent
            }
            guard let kind = SlaveFault.Kind(rawValue: word) else {
                let known = SlaveFault.Kind.allCases.map(\.rawValue).joined(separator: ", ")
                return .problem(400, "no such fault", detail: "known are \(known)", field: "kind")
            }
            units.suffer(
                SlaveFault(
                    kind, requests: body["requests"]?.int,
                    milliseconds: body["milliseconds"]?.int ?? 250,
                    code: body["code"]?.int ?? 4), unit: unit)
            return .noContent
        }
    }

    private func onAdapter(
        _ request: HTTPRequest, _ body: (SerialSlave) -> Void
    ) -> HTTPResponse {
        guard let slave = site.serial[request[parameter: "name"]] else {
            return .problem(404, "no such serial bus", detail: request[parameter: "name"])
        }
        body(slave)
        return .noContent
    }

    private static let noCurve = HTTPResponse.problem(
        400, "no charging curve",
        detail: "give {\"curve\":[{\"untilWattHours\":200,\"milliamperes\":32000}]}",
        field: "curve")

    private static func curve(_ body: JSONValue) -> ChargingCurve? {
        guard let items = body["curve"]?.array, !items.isEmpty else { return nil }
        var steps: [ChargingCurve.Step] = []
        for item in items {
            guard let milliamperes = item["milliamperes"]?.int64,
                (0...80_000).contains(milliamperes)
            else { return nil }
            steps.append(
                .init(untilWattHours: item["untilWattHours"]?.int64, milliamperes: milliamperes))
        }
        return ChargingCurve(steps)
    }
}
