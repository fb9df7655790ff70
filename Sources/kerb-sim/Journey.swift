import Charging
import Crypto
import HTTPClient
import JSON
import Service
import Simulation

/// One real charge, from the register to the bill, and one that survives a killed board: played on a
/// stage of its own, each step printed, each sum checked by those who did not make it.
struct Journey: Sendable {
    struct Broken: Error, CustomStringConvertible {
        let description: String
    }

    let stage: Stage
    let script = Script()

    /// The driver wants 10 kWh and leaves early: what is delivered is billed, the rest comes back.
    static let quotedKWh = "10"
    /// The first car is told to leave after this much, in µWh; the operator's server dies half-way.
    static let enough: Int64 = 200_000_000
    static let driver = (name: "Asha Rao", phone: "+919812345678", email: "asha@example.com")

    /// Plays everything; what is left wrong is in the stage's findings and thrown.
    func play() async throws {
        try await raise()
        try await bookedCharge()
        try await roamingCharge()
        let findings = stage.findings.all
        guard findings.isEmpty else {
            throw Broken(
                description: "the counterparts found:\n  " + findings.joined(separator: "\n  "))
        }
    }

    private func raise() async throws {
        try await stage.startOperator()
        script.did("kerb-cpo is ready", "console \(stage.plan.url)/console/")
        try stage.startBoard()
        try await stage.startEMSP(tokenA: try stage.invitation())
        script.did("the eMSP is registered over OCPI 2.2.1", stage.plan.emsp.description)
        try await stage.waitForStation(seconds: 30)
        script.did("kerb-edge is connected over wss, security profile 2", "both bays available")
    }

    // MARK: The booking

    private func bookedCharge() async throws {
        var booking = Booking(app: try stage.app)
        let (offer, quote) = try await book(&booking)
        guard let orderID = booking.orderID else { throw Broken(description: "no order id") }
        let bench = try bench("bay-1")
        let before = bench.now { ($0.registerWattHours, $0.contactor.isClosed) }
        try require(!before.1, "the contactor is open before the start")
        bench.now { $0.plugIn(.init(phases: 3)) }
        script.did("the car is plugged in", "register \(before.0) Wh, contactor open")
        _ = try await booking.update("start-charging")
        try await stage.wait(for: "the relay to close", seconds: 20) {
            bench.now { $0.contactor.isClosed }
        }
        _ = try await booking.next("on_update", seconds: 20) {
            Self.state(of: $0) == "charging-started"
        }
        script.did("update start-charging: the relay closed", Self.age(bench, \.closedAt))
        try await watch(booking, bench)
        try await killOperator(bench)
        try await stage.wait(for: "200 Wh", seconds: 60) {
            bench.now { $0.car?.taken.microWattHours ?? 0 } >= Self.enough
        }
        _ = try await booking.update("end-charging")
        try await stage.wait(for: "the relay to open", seconds: 20) {
            bench.now { !$0.contactor.isClosed }
        }
        script.did("update end-charging: the relay opened", Self.age(bench, \.openedAt))
        let final = try await booking.next("on_update", seconds: 60) {
            $0["status"]?.string == "COMPLETE"
        }
        let cdr = try await self.cdr(reference: orderID)
        var books = Books(bench: bench, startRegister: before.0)
        try books.add(cdr: cdr, session: try stage.emsp.session(cdr["session_id"]?.string ?? ""))
        try books.add(finalOrder: final, paid: quote)
        try await finish(books, cdr, bench)
        _ = try await booking.rate(5)
        script.did("rating: 5 of 5", offer.name)
        bench.now { $0.unplug() }
    }

    private func book(_ booking: inout Booking) async throws -> (Booking.Offer, Decimal) {
        let search = booking
        let found = Lock([Booking.Offer]())
        try await stage.wait(for: "the connectors to be offered", seconds: 30) {
            let offers = try await search.search(
                latitude: "28.7041", longitude: "77.1025", radiusKM: 5, connectorType: "Type 2")
            found.withLock { $0 = offers }
            return offers.count == 2
        }
        let offers = found.withLock { $0 }
        script.did(
            "search: Type 2 within 5 km",
            offers.map { "\($0.name) at \($0.pricePerKWh) INR/kWh" }.joined(separator: ", "))
        guard let offer = offers.first(where: { $0.item.contains("DEMO-1") }) else {
            throw Broken(description: "no offer of DEMO-1 among \(offers.map(\.item))")
        }
        let selected = try await booking.select(offer, kWh: Self.quotedKWh)
        guard let quote = BecknSums.total(of: selected) else {
            throw Broken(description: "on_select has no quote: \(selected.text)")
        }
        script.did("select: quote for \(Self.quotedKWh) kWh", "\(quote) INR")
        let driver = Self.driver
        let draft = try await booking.initialise(
            name: driver.name, phone: driver.phone, email: driver.email)
        script.did("init: payment terms", draft["payments"]?[0]?["type"]?.string ?? "")
        let order = try await booking.confirm(
            name: driver.name, phone: driver.phone, email: driver.email)
        try require(
            order["status"]?.string == "ACTIVE", "the confirmed order is ACTIVE: \(order.text)")
        script.did("confirm: paid, order \(booking.orderID ?? "")", order["status"]?.string ?? "")
        return (offer, quote)
    }

    /// Live status and track while the car charges.
    private func watch(_ booking: Booking, _ bench: EVSEBench) async throws {
        try await stage.wait(for: "40 Wh", seconds: 40) {
            bench.now { $0.car?.taken.microWattHours ?? 0 } >= 40_000_000
        }
        let live = try await booking.next("on_status", seconds: 30) {
            Self.energy(of: $0) ?? .zero > .zero
        }
        let tracking = try await booking.track()
        try require(tracking["status"]?.string == "active", "tracking is active: \(tracking.text)")
        script.did(
            "status and track while it charges",
            "\(Self.energy(of: live)?.description ?? "?") kWh so far, \(bench.now { $0.milliwatts / 1_000_000 }) kW"
        )
    }

    private func killOperator(_ bench: EVSEBench) async throws {
        try await stage.wait(for: "half of it", seconds: 60) {
            bench.now { $0.car?.taken.microWattHours ?? 0 } >= Self.enough / 2
        }
        stage.killOperator()
        try await stage.launchOperator()
        try require(
            bench.now { $0.contactor.isClosed }, "the charge goes on while kerb-cpo is down")
        try await stage.waitForStation(seconds: 40, statuses: ["CHARGING", "AVAILABLE"])
        script.did("kill -9 of kerb-cpo in the middle: the charge went on", "station back online")
    }

    // MARK: The roaming charge

    private func roamingCharge() async throws {
        let bench = try bench("bay-2")
        let start = bench.now { $0.registerWattHours }
        bench.now { $0.plugIn(.init(phases: 1)) }
        let reference = UUID4.make()
        let emsp = try stage.emsp
        let answer = try await emsp.command(
            "START_SESSION",
            [
                "response_url": .string(emsp.responseURL(reference)),
                "token": Self.token(of: stage.plan.emsp), "location_id": "DEMO",
                "evse_uid": "DEMO-2",
                "connector_id": "1", "authorization_reference": .string(reference),
            ])
        try require(
            answer["result"]?.string == "ACCEPTED", "START_SESSION is accepted: \(answer.text)")
        let result = try await emsp.pushes.wait(for: "the command's result", seconds: 40) {
            $0.module == "commands" && $0.path.hasSuffix(reference)
        }
        try require(
            result.object["result"]?.string == "ACCEPTED",
            "the command succeeds: \(result.object.text)")
        script.did("OCPI START_SESSION by the eMSP: accepted", "over Modbus TCP, SDM120")
        try await stage.wait(for: "20 Wh", seconds: 60) {
            bench.now { $0.car?.taken.microWattHours ?? 0 } >= 20_000_000
        }
        stage.killBoard()
        try await stage.wait(for: "the dead-man to open the relay", seconds: 2) {
            bench.now { !$0.contactor.isClosed }
        }
        script.did(
            "kill -9 of kerb-edge: the dead-man opened the relay", Self.age(bench, \.openedAt))
        try stage.launchBoard()
        let cdr = try await self.cdr(reference: reference)
        var books = Books(bench: bench, startRegister: start)
        try books.add(cdr: cdr, session: emsp.session(cdr["session_id"]?.string ?? ""))
        try await finish(books, cdr, bench)
        bench.now { $0.unplug() }
    }

    private func cdr(reference: String) async throws -> JSONValue {
        let push = try await stage.emsp.pushes.wait(for: "the CDR", seconds: 60) {
            $0.module == "cdrs" && $0.object["authorization_reference"]?.string == reference
        }
        return push.object
    }

    /// Prints the bill and holds every account of it against the others.
    private func finish(_ books: Books, _ cdr: JSONValue, _ bench: EVSEBench) async throws {
        for line in books.lines { script.say("    " + line) }
        try require(
            books.agree, "all accounts of the energy agree:\n" + books.lines.joined(separator: "\n")
        )
        try await books.checkOpeningPrecedesStop(bench, stage)
        try books.checkPrice(cdr, tariff: try await stage.emsp.pull("tariffs"), stage)
        script.did("all accounts agree to the Wh; `tariffs test` finds the same price", books.bill)
        let count = try stage.emsp.pushes.all.filter {
            $0.module == "cdrs" && $0.object["session_id"] == cdr["session_id"]
        }
        let bodies = Set(count.map(\.object))
        try require(bodies.count == 1, "one CDR for one session, not \(bodies.count)")
    }
}

extension Journey {
    func require(_ condition: Bool, _ what: @autoclosure () -> String) throws {
        if !condition { throw Broken(description: "not so: \(what())") }
    }

    private func bench(_ name: String) throws -> EVSEBench {
        guard let bench = stage.site.bench(name) else { throw Broken(description: "no \(name)") }
        return bench
    }

    static func state(of order: JSONValue) -> String? {
        order["fulfillments"]?[0]?["state"]?["descriptor"]?["code"]?.string
    }

    /// `energy-delivered` of the tag group `charging-details`, in kWh.
    static func energy(of order: JSONValue) -> Decimal? {
        for group in order["fulfillments"]?[0]?["tags"]?.array ?? [] {
            for tag in group["list"]?.array ?? []
            where tag["descriptor"]?["code"]?.string == "energy-delivered" {
                let number = tag["value"]?.string?.split(separator: " ").first ?? ""
                return Decimal(number)
            }
        }
        return nil
    }

    private static func age(_ bench: EVSEBench, _ moment: KeyPath<SimulatedEVSE.Contactor, Int64?>)
        -> String
    {
        guard let at = bench.now({ $0.contactor[keyPath: moment] }) else { return "" }
        return "at \(bench.wall(at).rfc3339)"
    }

    private static func token(of party: PartyID) -> JSONValue {
        [
            "country_code": .string(party.country), "party_id": .string(party.party),
            "uid": "EMS-APP-1", "type": "APP_USER", "contract_id": "IN-EMS-C00001",
            "issuer": "Demo Mobility",
            "valid": true, "whitelist": "ALLOWED", "last_updated": "2026-01-01T00:00:00Z",
        ]
    }
}
