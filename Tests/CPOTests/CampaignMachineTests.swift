import Charging
import TestSupport
import Testing

@testable import CPO

@Suite struct `A firmware campaign` {
    typealias Machine = CampaignMachine
    static let noon = House.noon

    static func machine(
        _ count: Int, waves: [Int] = [1, 2], version: String? = "2.0",
        _ change: (inout CampaignPlan) -> Void = { _ in }
    ) -> Machine {
        var plan = CampaignPlan(
            name: "two", image: FirmwareImage(id: "I", name: "two.bin", version: version))
        plan.waves = waves
        change(&plan)
        return Machine(
            plan: plan,
            members: (0..<count).map {
                Machine.Member(station: "CS-\($0)", wave: plan.wave(of: $0), changedAt: noon)
            })
    }

    static func sight(_ change: (inout Machine.Sight) -> Void = { _ in }) -> Machine.Sight {
        var sight = Machine.Sight()
        sight.isOnline = true
        sight.firmware = "1.0"
        change(&sight)
        return sight
    }

    static func at(_ seconds: Int64) -> Timestamp { noon.advanced(bySeconds: seconds) }

    /// All stations alike, but for those that are named.
    static func look(
        _ machine: inout Machine, _ seconds: Int64 = 0, _ odd: [String: Machine.Sight?] = [:]
    ) -> [Machine.Effect] {
        var sights: [String: Machine.Sight] = [:]
        for member in machine.members { sights[member.station] = sight() }
        for (station, sight) in odd { sights[station] = sight }
        return machine.handle(.look(sights), at: at(seconds))
    }

    static func orders(_ effects: [Machine.Effect]) -> [String] {
        effects.compactMap { if case .order(let station) = $0 { station } else { nil } }
    }

    static func told(_ status: FirmwareStatus, _ seconds: Int64) -> Machine.Sight {
        sight {
            $0.order = .accepted
            $0.status = status
            $0.statusAt = at(seconds)
        }
    }

    @Test func `cuts the fleet into waves, the last of which is repeated`() {
        var plan = CampaignPlan(name: "n", image: FirmwareImage(id: "I", name: "n"))
        plan.waves = [1, 3]
        #expect((0..<9).map(plan.wave) == [0, 1, 1, 1, 2, 2, 2, 3, 3])
    }

    @Test func `begins a wave when the one before is done`() {
        var machine = Self.machine(4)
        #expect(Self.orders(Self.look(&machine)) == ["CS-0"])
        #expect(Self.orders(Self.look(&machine, 10)).isEmpty)
        let new = Self.sight { $0.firmware = "2.0" }
        #expect(Self.orders(Self.look(&machine, 60, ["CS-0": new])) == ["CS-1", "CS-2"])
        #expect(machine.members[0].state == .done)
        #expect(machine.members[0].formerFirmware == "1.0")
        let effects = Self.look(&machine, 120, ["CS-1": new, "CS-2": new])
        #expect(Self.orders(effects) == ["CS-3"])
        #expect(Self.look(&machine, 180, ["CS-3": new]).contains(.became(.done, reason: nil)))
    }

    @Test func `leaves a station in peace that charges or is away`() {
        var machine = Self.machine(3, waves: [3])
        let effects = Self.look(
            &machine, 0,
            [
                "CS-0": Self.sight { $0.isCharging = true },
                "CS-1": Self.sight { $0.isOnline = false },
            ])
        #expect(Self.orders(effects) == ["CS-2"])
        #expect(Self.orders(Self.look(&machine, 10)) == ["CS-0", "CS-1"])
    }

    @Test func `sends nothing to a station that runs the version already`() {
        var machine = Self.machine(1)
        let new = Self.sight { $0.firmware = "2.0" }
        let effects = Self.look(&machine, 0, ["CS-0": new])
        #expect(Self.orders(effects).isEmpty)
        #expect(effects.contains(.became(.done, reason: nil)))
    }

    @Test func `follows what the station tells`() {
        var machine = Self.machine(1)
        _ = Self.look(&machine)
        for (status, state) in [
            (FirmwareStatus.downloading, Machine.Member.State.downloading),
            (.downloaded, .downloaded), (.signatureVerified, .downloaded),
            (.installing, .installing), (.installed, .installed),
        ] {
            _ = Self.look(&machine, 20, ["CS-0": Self.told(status, 10)])
            #expect(machine.members[0].state == state)
        }
    }

    @Test func `tries again after a while, and so often only`() {
        var machine = Self.machine(1) { $0.pauseAfterFailures = 2 }
        _ = Self.look(&machine)
        _ = Self.look(&machine, 20, ["CS-0": Self.told(.downloadFailed, 10)])
        #expect(machine.members[0].state == .waiting)
        #expect(machine.members[0].note == "DownloadFailed")
        #expect(Self.orders(Self.look(&machine, 20 + 29 * 60)).isEmpty)
        // What it told of the first try says nothing of the second.
        let old = Self.told(.downloadFailed, 10)
        #expect(Self.orders(Self.look(&machine, 20 + 30 * 60, ["CS-0": old])) == ["CS-0"])
        _ = Self.look(&machine, 20 + 31 * 60, ["CS-0": old])
        #expect(machine.members[0].state == .ordered)
        _ = Self.look(&machine, 40 * 60, ["CS-0": Self.told(.installationFailed, 39 * 60)])
        #expect(machine.members[0].state == .failed)
        #expect(machine.state == .done)
    }

    @Test(arguments: [FirmwareStatus.invalidSignature, .installVerificationFailed])
    func `does not try again what cannot get better`(_ status: FirmwareStatus) {
        var machine = Self.machine(1)
        _ = Self.look(&machine)
        _ = Self.look(&machine, 20, ["CS-0": Self.told(status, 10)])
        #expect(machine.members[0].state == .failed)
    }

    @Test func `takes no other order's report for its own`() {
        var machine = Self.machine(1)
        _ = Self.look(&machine)
        machine.members[0].request = 7
        var sight = Self.told(.invalidSignature, 10)
        sight.statusRequest = 6
        _ = Self.look(&machine, 20, ["CS-0": sight])
        #expect(machine.members[0].state == .ordered)
        sight.statusRequest = 7
        _ = Self.look(&machine, 20, ["CS-0": sight])
        #expect(machine.members[0].state == .failed)
    }

    @Test func `fails a station that comes back as it was`() {
        var machine = Self.machine(1) { $0.tries = 1 }
        _ = Self.look(&machine)
        var sight = Self.told(.installed, 10)
        sight.bootedAt = Self.at(30)
        _ = Self.look(&machine, 40, ["CS-0": sight])
        #expect(machine.members[0].state == .failed)
        #expect(machine.members[0].note == "it came back with 1.0")
    }

    @Test func `believes Installed after a while where nobody says the version`() {
        var machine = Self.machine(1, version: nil)
        _ = Self.look(&machine)
        _ = Self.look(&machine, 20, ["CS-0": Self.told(.installed, 10)])
        #expect(machine.members[0].state == .installed)
        _ = Self.look(&machine, 10 + 900, ["CS-0": Self.told(.installed, 10)])
        #expect(machine.members[0].state == .done)
    }

    @Test func `gives up on silence at the deadline`() {
        var machine = Self.machine(1) { $0.tries = 1 }
        _ = Self.look(&machine)
        _ = Self.look(&machine, 120 * 60 - 1)
        #expect(machine.members[0].state == .ordered)
        _ = Self.look(&machine, 120 * 60)
        #expect(machine.members[0].state == .failed)
    }

    @Test func `fails a station that is away at the deadline, and stops`() {
        var machine = Self.machine(2, waves: [1])
        _ = Self.look(&machine)
        let away = Self.sight { $0.isOnline = false }
        _ = Self.look(&machine, 120 * 60 - 1, ["CS-0": away])
        #expect(machine.members[0].state == .ordered)
        _ = Self.look(&machine, 120 * 60, ["CS-0": away])
        #expect(machine.members[0].state == .failed)
        #expect(machine.state == .paused)
    }

    @Test func `goes on without a station that a person leaves out`() {
        var machine = Self.machine(3)
        let away = Self.sight { $0.isOnline = false }
        _ = Self.look(&machine, 0, ["CS-0": away])
        #expect(machine.handle(.skip("CS-9"), at: Self.at(1)).isEmpty)
        #expect(machine.handle(.skip("CS-0"), at: Self.at(1)) == [.changed("CS-0")])
        #expect(machine.members[0].state == .cancelled)
        #expect(Self.orders(Self.look(&machine, 10, ["CS-0": away])) == ["CS-1", "CS-2"])
        // Who was sent it comes to an end by itself.
        #expect(machine.handle(.skip("CS-1"), at: Self.at(11)).isEmpty)
    }

    @Test(arguments: [true, false])
    func `goes on without a station that is away or in use for too long`(isAway: Bool) {
        var machine = Self.machine(4, waves: [2]) { $0.waitHours = 48 }
        let busy = Self.sight {
            $0.isOnline = !isAway
            $0.isCharging = !isAway
        }
        let new = Self.sight { $0.firmware = "2.0" }
        let odd = ["CS-0": busy, "CS-1": new]
        _ = Self.look(&machine, 0, odd)
        _ = Self.look(&machine, 48 * 3600 - 1, odd)
        #expect(machine.members.map(\.state) == [.waiting, .done, .waiting, .waiting])
        _ = Self.look(&machine, 48 * 3600, odd)
        #expect(machine.members[0].state == .cancelled)
        let why = isAway ? "it was away" : "it was never free"
        #expect(machine.members[0].note == "left out: \(why) for 48 hours")
        // The next wave has its own time.
        let later = ["CS-2": busy]
        #expect(Self.orders(Self.look(&machine, 48 * 3600 + 1, later)) == ["CS-3"])
        #expect(machine.members[2].state == .waiting)
        #expect(machine.state == .running)
    }

    @Test func `pauses rather than sends an image that nobody of the wave before took`() {
        var machine = Self.machine(3) { $0.waitHours = 1 }
        let away = Self.sight { $0.isOnline = false }
        _ = Self.look(&machine, 0, ["CS-0": away])
        let effects = Self.look(&machine, 3600, ["CS-0": away])
        #expect(machine.state == .paused)
        #expect(Self.orders(effects).isEmpty)
        #expect(Self.orders(Self.look(&machine, 7200, ["CS-0": away])).isEmpty)
        _ = machine.handle(.resume, at: Self.at(7300))
        #expect(Self.orders(Self.look(&machine, 7301, ["CS-0": away])) == ["CS-1", "CS-2"])
    }

    @Test func `does not count the time in which it was paused`() {
        var machine = Self.machine(2, waves: [2]) { $0.waitHours = 1 }
        let away = Self.sight { $0.isOnline = false }
        _ = Self.look(&machine, 0, ["CS-0": away])
        _ = machine.handle(.pause, at: Self.at(60))
        _ = machine.handle(.resume, at: Self.at(90_000))
        _ = Self.look(&machine, 90_001, ["CS-0": away])
        #expect(machine.members[0].state == .waiting)
        _ = Self.look(&machine, 90_001 + 3600, ["CS-0": away])
        #expect(machine.members[0].state == .cancelled)
    }

    @Test func `says why it waits`() {
        var machine = Self.machine(5, waves: [4])
        var sights = Dictionary(
            uniqueKeysWithValues: machine.members.map { ($0.station, Self.sight()) })
        sights["CS-0"]?.isOnline = false
        sights["CS-1"]?.isCharging = true
        sights["CS-2"]?.isUnderWayElsewhere = true
        machine.members[3].retryAt = Self.at(60)
        #expect(
            machine.waits(sights, at: Self.at(0)) == [
                "CS-0": .away, "CS-1": .charging, "CS-2": .otherCampaign, "CS-3": .retry,
                "CS-4": .earlierWave,
            ])
        #expect(machine.waits(sights, at: Self.at(60))["CS-3"] == nil)
        _ = machine.handle(.pause, at: Self.at(1))
        #expect(machine.waits(sights, at: Self.at(0))["CS-0"] == .paused)
        _ = machine.handle(.cancel, at: Self.at(1))
        #expect(machine.waits(sights, at: Self.at(0)).isEmpty)
    }

    @Test func `waits until another campaign has settled what it sent`() {
        var machine = Self.machine(1, version: "1.0")
        let busy = Self.sight { $0.isUnderWayElsewhere = true }
        _ = Self.look(&machine, 0, ["CS-0": busy])
        #expect(machine.members[0].state == .waiting)
        _ = Self.look(&machine, 10)
        #expect(machine.members[0].state == .done)
    }

    @Test func `does not count a try that never went out`() {
        var machine = Self.machine(1) { $0.tries = 1 }
        _ = Self.look(&machine)
        _ = Self.look(&machine, 5, ["CS-0": Self.sight { $0.order = .unsent }])
        #expect(machine.members[0].tries + (machine.members[0].state == .ordered ? 0 : 1) == 1)
        #expect(machine.members[0].state != .failed)
    }

    @Test func `pauses when too many failed, and goes on when a person says so`() {
        var machine = Self.machine(3, waves: [1]) { $0.tries = 1 }
        _ = Self.look(&machine)
        let bad = Self.told(.installationFailed, 10)
        let effects = Self.look(&machine, 20, ["CS-0": bad])
        #expect(effects.contains(.became(.paused, reason: "1 stations failed")))
        #expect(Self.orders(effects).isEmpty)
        #expect(Self.orders(Self.look(&machine, 30)).isEmpty)
        #expect(machine.handle(.resume, at: Self.at(40)) == [.became(.running, reason: nil)])
        #expect(Self.orders(Self.look(&machine, 50)) == ["CS-1"])
        _ = Self.look(&machine, 70, ["CS-1": Self.told(.installationFailed, 60)])
        #expect(machine.state == .paused)
    }

    @Test func `follows to its end what is under way when it is cancelled`() {
        var machine = Self.machine(2, waves: [1])
        _ = Self.look(&machine)
        #expect(!machine.handle(.cancel, at: Self.at(5)).isEmpty)
        #expect(machine.members.map(\.state) == [.ordered, .cancelled])
        _ = Self.look(&machine, 20, ["CS-0": Self.sight { $0.firmware = "2.0" }])
        #expect(machine.members[0].state == .done)
        #expect(machine.state == .cancelled)
        #expect(machine.handle(.resume, at: Self.at(30)).isEmpty)
    }

    @Test func `fails a station that is registered no more`() {
        var machine = Self.machine(1)
        _ = Self.look(&machine, 0, ["CS-0": nil])
        #expect(machine.members[0].state == .failed)
    }

    /// Whatever stations say in whatever order: never more than the wave's size under way, never more
    /// tries than allowed, nothing ordered while a charge runs or while it does not run itself.
    @Test(arguments: 1...200)
    func `keeps its bounds over random histories`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var machine = Self.machine(12, waves: [2, 3]) {
            $0.pauseAfterFailures = 3
            $0.waitHours = 1
        }
        var now: Int64 = 0
        for _ in 0..<200 {
            now += Int64.random(in: 1...1200, using: &random)
            var sights: [String: Machine.Sight] = [:]
            for member in machine.members where Int.random(in: 0..<40, using: &random) > 0 {
                sights[member.station] = Self.sight {
                    $0.isOnline = Bool.random(using: &random)
                    $0.isCharging = Bool.random(using: &random)
                    $0.firmware = Int.random(in: 0..<9, using: &random) == 0 ? "2.0" : "1.0"
                    $0.status = FirmwareStatus.allCases.randomElement(using: &random)
                    $0.statusAt = Self.at(now - Int64.random(in: 0...600, using: &random))
                    $0.bootedAt = Self.at(now - Int64.random(in: 0...600, using: &random))
                    $0.order = [.open, .accepted, .refused("no"), .unsent].randomElement(
                        using: &random)
                }
            }
            let before = machine
            let input: Machine.Input =
                switch Int.random(in: 0..<20, using: &random) {
                case 0: .pause
                case 1, 2: .resume
                case 3 where Int.random(in: 0..<4, using: &random) == 0:
                    .skip(machine.members.randomElement(using: &random)?.station ?? "")
                default: .look(sights)
                }
            let orders = Self.orders(machine.handle(input, at: Self.at(now)))
            for id in orders {
                #expect(sights[id]?.isOnline == true && sights[id]?.isCharging == false)
            }
            #expect(orders.isEmpty || machine.state == .running)
            let open = machine.members.filter { !$0.state.isSettled && $0.state != .waiting }
            #expect(Set(open.map(\.wave)).count <= 1)
            #expect(open.count <= 3)
            for (member, old) in zip(machine.members, before.members) {
                #expect(member.tries <= machine.plan.tries)
                #expect(member.state == .waiting || member.waitSince == nil)
                // What is settled stays so.
                #expect(!old.state.isSettled || member == old)
            }
        }
    }
}
