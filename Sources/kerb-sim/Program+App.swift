import Charging
import Crypto
import JSON
import Service
import Simulation

extension Program {
    static let appCommand = CommandTable.Command(
        "bap",
        flags: [
            .init(
                "--registry", "FILE", "the network's participants, as kerb-cpo reads them",
                isRequired: true),
            .init("--bpp", "ID", "whose connectors to book (the registry's only BPP)"),
            .init("--key-file", "FILE", "our signing seed, made when missing (bap.key)"),
            .init("--subscriber", "ID", "who we are (app.kerb-sim.example)"),
            .init("--port", "N", "where we take callbacks (8082)"),
            .init("--domain", "TEXT", "ev-charging:beckn"),
            .init("--latitude", "DEGREES", "where to search (28.7041)"),
            .init("--longitude", "DEGREES", "where to search (77.1025)"),
            .init("--radius", "KM", "how far (5)"),
            .init("--connector", "TYPE", "what fits the car (Type 2)"),
            .init("--item", "TEXT", "take the first offer whose id holds this"),
            .init("--kwh", "N", "what to ask a quote for (10)"),
            .init("--seconds", "S", "how long to charge (40)"),
        ], "a driver's app on a Beckn network: books one charge and checks all it gets")

    /// `bap`: search to rating, a line a step; fails on any breach it notices.
    static func app(_ invocation: CommandTable.Invocation) async throws -> ExitCode {
        guard let port = Int(invocation.value("--port") ?? "8082"),
            let radius = Int(invocation.value("--radius") ?? "5"),
            let seconds = Int(invocation.value("--seconds") ?? "40"), seconds > 0
        else {
            complain("kerb-sim: --port, --radius and --seconds are whole numbers")
            return .usage
        }
        let registry = AppRegistry(file: invocation.value("--registry") ?? "")
        let subscriber = invocation.value("--subscriber") ?? "app.kerb-sim.example"
        let key = try signingKey(invocation.value("--key-file") ?? "bap.key")
        let bpp = try registry.bpp(invocation.value("--bpp"))
        try registry.enter(subscriber, key.publicKey, url: "http://127.0.0.1:\(port)/bap")
        let findings = Findings()
        let app = try BecknApp(
            .init(
                subscriberID: subscriber, keyID: "app", privateKey: key, port: port,
                bppURL: bpp.url, bppID: bpp.id, bppKey: bpp.key,
                domain: invocation.value("--domain") ?? "ev-charging:beckn"), findings: findings)
        app.start()
        do {
            try await book(app, invocation, radius: radius, seconds: seconds)
        } catch {
            complain("kerb-sim bap: \(error)")
            findings.note("the booking broke off")
        }
        await app.stop()
        for finding in findings.all { complain("finding: \(finding)") }
        print("\(app.callbacks.all.count) callbacks checked, \(findings.count) findings")
        return findings.count == 0 ? .done : .failed
    }

    private static func book(
        _ app: BecknApp, _ invocation: CommandTable.Invocation, radius: Int, seconds: Int
    ) async throws {
        let script = Script()
        var booking = Booking(app: app)
        let offers = try await offers(booking, invocation, radius)
        for offer in offers { script.did("offer \(offer.item)", "\(offer.pricePerKWh) a kWh") }
        let wanted = invocation.value("--item") ?? ""
        guard let offer = offers.first(where: { wanted.isEmpty || $0.item.contains(wanted) }) else {
            throw AppFailure(description: "nothing is offered there")
        }
        let kWh = invocation.value("--kwh") ?? "10"
        let selected = try await booking.select(offer, kWh: kWh)
        script.did("select \(offer.item)", "\(kWh) kWh for \(price(of: selected))")
        let driver = (name: "Sim Driver", phone: "+919812345678", email: "driver@example.com")
        let draft = try await booking.initialise(
            name: driver.name, phone: driver.phone, email: driver.email)
        script.did("init", draft["payments"]?[0]?["type"]?.string ?? "no payment terms")
        let order = try await booking.confirm(
            name: driver.name, phone: driver.phone, email: driver.email)
        script.did("confirm \(booking.orderID ?? "")", order["status"]?.string ?? "no status")
        _ = try await booking.update("start-charging")
        script.did("update start-charging", "accepted")
        var left = seconds
        while left > 0 {
            let pause = min(left, 10)
            try await SystemClock().sleep(milliseconds: Int64(pause) * 1000)
            left -= pause
            let live = try await booking.status()
            let state = live["fulfillments"]?[0]?["state"]?["descriptor"]?["code"]?.string
            script.did("status", "\(state ?? "no state"), \(price(of: live))")
        }
        let tracking = try await booking.track()
        script.did("track", tracking["status"]?.string ?? "no status")
        _ = try await booking.update("end-charging")
        let final = try await booking.next("on_update", seconds: 60) {
            $0["status"]?.string == "COMPLETE"
        }
        script.did("update end-charging", "final price \(price(of: final))")
        _ = try await booking.rate(5)
        script.did("rating", "5 of 5")
    }

    /// The search; again for a while when the operator does not know us yet, because he reads a
    /// changed registry every few seconds only.
    private static func offers(
        _ booking: Booking, _ invocation: CommandTable.Invocation, _ radius: Int
    ) async throws -> [Booking.Offer] {
        var triesLeft = 10
        while true {
            do {
                return try await booking.search(
                    latitude: invocation.value("--latitude") ?? "28.7041",
                    longitude: invocation.value("--longitude") ?? "77.1025", radiusKM: radius,
                    connectorType: invocation.value("--connector") ?? "Type 2")
            } catch BecknApp.Refusal.notAcknowledged(_, 401, _) where triesLeft > 0 {
                triesLeft -= 1
                try await SystemClock().sleep(milliseconds: 2000)
            }
        }
    }

    private static func price(of order: JSONValue) -> String {
        let price = order["quote"]?["price"]
        return "\(price?["value"]?.string ?? "?") \(price?["currency"]?.string ?? "")"
    }

    /// The seed in a file of ours, Base64; a new one the first time.
    private static func signingKey(_ file: String) throws -> Ed25519.PrivateKey {
        if !FileSystem.exists(file) {
            let seed = RandomBytes.make(32)
            try FileSystem.writeAtomically(Array(Base64.encode(seed).utf8), to: file)
        }
        let text = String(decoding: try FileSystem.read(file), as: UTF8.self)
        guard let seed = Base64.decode(text.filter { !$0.isWhitespace }) else {
            throw AppFailure(description: "\(file) holds no Base64 seed; remove it")
        }
        return try Ed25519.PrivateKey(seed)
    }
}

/// Why the app cannot go on.
struct AppFailure: Error, CustomStringConvertible {
    let description: String
}

/// The participants' file of a small network.
struct AppRegistry {
    let file: String

    struct Participant {
        let id: String
        let url: String
        let key: Ed25519.PublicKey
    }

    private func records() throws -> [JSONValue] {
        let known = try JSONValue(parsing: FileSystem.read(file))
        return (known["subscribers"] ?? known).array ?? []
    }

    /// The BPP of that id, or the only one there is.
    func bpp(_ id: String?) throws -> Participant {
        let found = try records().filter { record in
            id.map { record["subscriber_id"]?.string == $0 } ?? (record["type"]?.string == "BPP")
        }
        guard found.count == 1, let record = found.first,
            let id = record["subscriber_id"]?.string, let url = record["url"]?.string,
            let key = record["signing_public_key"]?.string.flatMap({ Base64.decode($0) })
        else {
            throw AppFailure(
                description:
                    "\(file) has \(found.count) matching BPPs with url and key; name one with --bpp"
            )
        }
        return Participant(id: id, url: url, key: try .init(key))
    }

    /// Writes our own record, in the place of an older one.
    func enter(_ id: String, _ key: Ed25519.PublicKey, url: String) throws {
        let own: JSONValue = [
            "subscriber_id": .string(id), "type": "BAP", "url": .string(url),
            "unique_key_id": "app", "signing_public_key": .string(Base64.encode(key.bytes)),
        ]
        let others = try records()
        if others.contains(own) { return }
        let kept = others.filter { $0["subscriber_id"]?.string != id }
        try FileSystem.writeAtomically(
            JSONValue.array(kept + [own]).encoded(), to: file, mode: 0o644)
    }
}
