import Charging
import Crypto
import Glibc
import HAL
import JSON
import LinuxHAL
import SQL
import Service
import Station

/// Looks at everything a technician would look at, without moving anything.
///
/// What only the owner of a bus may do (reading a meter, asking a journal for its health) is done
/// while no agent runs; a running one is asked for what it knows.
struct Doctor {
    /// Before the program was written: the board woke up without a battery clock.
    private static let earliestMilliseconds: Int64 = 1_767_225_600_000
    private static let leastFreeBytes: Int64 = 32 << 20
    private static let wornPercent = 90
    private static let expiresSoonDays: Int64 = 14

    let settings: EdgeSettings
    /// The running agent's answer; nil while none runs.
    let status: JSONValue?
    /// The configuration's file.
    let file: String

    func findings() async -> [Finding] {
        var findings = [board(), Self.clock(), Self.timeSource(), agent()]
        findings += LineExamination(settings: settings, file: file).findings()
        findings += BusExamination(settings: settings).findings()
        findings += status == nil ? await meters() : connectors() + siteMeter()
        findings.append(commissioning())
        findings.append(await link())
        findings += secrets() + certificates() + disk()
        findings += journal()
        return findings
    }

    // MARK: Board and clock

    private func board() -> Finding {
        do {
            let cabinet = try Cabinet(settings)
            let deadMan = cabinet.board.deadMan
            let found =
                "\(cabinet.board.name), dead-man \(deadMan.kind.rawValue), opens within "
                + "\(deadMan.opensWithinMilliseconds) ms"
            guard deadMan.kind != .none else {
                return .bad(
                    "board",
                    "\(cabinet.board.name) has nothing that opens the contactors when the "
                        + "agent dies", mend: "use a board whose profile names a dead-man")
            }
            return .fine("board", found)
        } catch let failure as Program.Failure {
            return .bad("board", failure.text, mend: "see `kerb-edge config check`")
        } catch {
            return .bad("board", "\(error)", mend: "see `kerb-edge config check`")
        }
    }

    static func clock() -> Finding {
        let now = SystemClock().now
        guard now.milliseconds > earliestMilliseconds else {
            return .bad(
                "clock", "\(now), never set since power-on",
                mend: "connect the board to a time server, or fit a battery clock")
        }
        return .fine("clock", "\(now)")
    }

    /// What keeps the clock right: a time server now, a battery clock over a power cut.
    private static func timeSource() -> Finding {
        let hasBattery = KernelClock.hasBattery()
        switch (KernelClock.isSynchronised, hasBattery) {
        case (true, true): return .fine("time source", "time server, battery clock")
        case (true, false):
            return .warning(
                "time source", "a time server, no battery clock",
                mend: "without a network after a power cut the times of charges are repaired later")
        case (false, true):
            return .warning(
                "time source", "no time server, a battery clock",
                mend: "install systemd-timesyncd or chrony and let it reach a server")
        case (false, false):
            return .warning(
                "time source", "none: neither time server nor battery clock",
                mend: "install systemd-timesyncd or chrony; the operator's time is used meanwhile")
        }
    }

    // MARK: Agent

    private func agent() -> Finding {
        guard status != nil else {
            if Program.isClosed(settings.socketPath) {
                return .bad(
                    "agent", "this user may not ask, so half of what follows is guessed",
                    mend: "sudo kerb-edge doctor")
            }
            return .bad(
                "agent", "does not run", mend: "systemctl start kerb-edge; journalctl -u kerb-edge")
        }
        return .fine("agent", "runs")
    }

    private func connectors() -> [Finding] {
        (status?["connectors"]?.array ?? []).flatMap { connector -> [Finding] in
            let number = connector["connector"]?.int ?? 0
            let state = connector["status"]?.string ?? "?"
            let reason = connector["reason"]?.string.map { ": \($0)" } ?? ""
            let topic = "connector \(number)"
            var findings: [Finding] = []
            if state == "Faulted" {
                findings.append(
                    .bad(
                        topic, state + reason,
                        mend: "remove the cause; over-current and a bad diode end by "
                            + "unplugging, other latched faults with `kerb-edge clear \(number)`"))
            } else {
                findings.append(.fine(topic, state + reason))
            }
            let meter = connector["meter"] ?? .null
            let text = StatusScreen.text(ofMeter: meter)
            if meter["registerWh"] != nil, meter["error"] == nil {
                findings.append(.fine("meter \(number)", text))
            } else {
                findings.append(.bad("meter \(number)", text, mend: Self.meterMend))
            }
            return findings
        }
    }

    /// Without an agent the buses are free to be tried.
    private func meters() async -> [Finding] {
        // A board that cannot be put together is a finding of its own already.
        guard let cabinet = try? Cabinet(settings) else { return [] }
        var findings: [Finding] = []
        for outlet in cabinet.outlets {
            let topic = "meter \(outlet.connector)"
            do {
                let register = try await outlet.devices.meter.readings().energy
                findings.append(.fine(topic, "\(register.value) Wh"))
            } catch {
                findings.append(.bad(topic, "\(error)", mend: Self.meterMend))
            }
        }
        // As above.
        guard let meter = try? cabinet.siteMeter(settings) else { return findings }
        do {
            let register = try await meter.readings().energy
            findings.append(.fine("site meter", "\(register.value) Wh"))
        } catch {
            findings.append(.bad("site meter", "\(error)", mend: Self.meterMend))
        }
        return findings
    }

    static let meterMend =
        "check power, wiring (A and B), baud, parity and unit; `kerb-edge probe BUS` asks who answers"

    // MARK: Link

    private func link() async -> Finding {
        let url = settings.csms.url
        if let status {
            let registration = status["registration"]?.string ?? "not registered"
            if status["link"]?.string == "up" {
                guard registration == "Accepted" else {
                    return .warning(
                        "link", "up, registration \(registration)",
                        mend: "the operator must accept the station \(settings.stationID)")
                }
                return .fine("link", "up since \(status["linkedSince"]?.string ?? "?"), Accepted")
            }
        }
        let trouble = await Reachability.trouble(of: url)
        guard let trouble else {
            let found = "\(url): the server's port answers"
            guard let status else { return .fine("link", found) }
            return Self.downThoughPortAnswers(status)
        }
        return .bad("link", "\(url): \(trouble.what)", mend: trouble.mend)
    }

    /// What the agent itself was told at its last try says more than the port.
    static func downThoughPortAnswers(_ status: JSONValue) -> Finding {
        let said = StatusScreen.linkTrouble(status) ?? "down"
        let found = "\(said); the server's port answers now"
        guard status["linkError"] == nil else {
            return .bad(
                "link", found,
                mend:
                    "wait for the next try; if it fails again, what it says: identity, password or "
                    + "certificate, or the server")
        }
        return .warning("link", found, mend: "wait for the next try")
    }

    // MARK: Files

    private func secrets() -> [Finding] {
        let files = [
            settings.csms.passwordFile, settings.csms.keyFile, settings.supply.group?.keyFile,
        ].compactMap { $0 }
        return files.map { file in
            do throws(FileError) {
                let mode = try FileSystem.mode(of: file)
                guard mode & 0o077 == 0 else {
                    return .warning(
                        "secret", "\(file) can be read by others than its owner",
                        mend: "chmod 600 \(file)")
                }
                guard access(file, R_OK) == 0 else {
                    return .bad("secret", "\(file) cannot be read", mend: "chown kerb-edge \(file)")
                }
                return .fine("secret", "\(file), its owner's alone")
            } catch {
                return .bad("secret", "\(error)", mend: "put the secret there, mode 0600")
            }
        }
    }

    private func certificates() -> [Finding] {
        let files = [settings.csms.caFile, settings.csms.certificateFile].compactMap { $0 }
        return files.map { file in
            let renew = "renew it before charges stay unsent; the operator may send a new one"
            do {
                let pem = String(decoding: try FileSystem.read(file), as: UTF8.self)
                let certificate = try Certificate(pem: pem)
                let now = SystemClock().now.milliseconds / 1000
                let days = (certificate.notAfter - now) / 86_400
                if now < certificate.notBefore {
                    return .bad(
                        "certificate", "\(file) is not valid yet",
                        mend: "check the clock; else ask who issued it")
                }
                if now >= certificate.notAfter {
                    return .bad("certificate", "\(file) has expired", mend: renew)
                }
                if days <= Self.expiresSoonDays {
                    return .warning("certificate", "\(file): valid for \(days) days", mend: renew)
                }
                return .fine("certificate", "\(file): valid for \(days) days")
            } catch {
                return .bad("certificate", "\(file): \(error)", mend: "put a PEM certificate there")
            }
        }
    }

    private func disk() -> [Finding] {
        let folder = settings.dataDirectory
        guard FileSystem.isFolder(folder) else {
            return [
                .bad(
                    "disk", "\(folder) is not there", mend: "the first start of the agent makes it")
            ]
        }
        do throws(FileError) {
            return [disk(try FileSystem.freeBytes(at: folder), DiskWear(path: folder))]
        } catch {
            return [.bad("disk", "\(error)", mend: "check the file system")]
        }
    }

    private func disk(_ free: Int64, _ wear: DiskWear?) -> Finding {
        let most = settings.journalLimitMegabytes
        let worn = wear.map { "; its flash has used up to \($0.percent) % of its life" }
        let found =
            "\(free >> 20) MiB free in \(settings.dataDirectory), the journal takes \(most) MiB at most"
            + (worn ?? "")
        guard free > Self.leastFreeBytes else {
            return .bad("disk", found, mend: "free some: charges are journalled there first")
        }
        if let wear, wear.isAtItsEnd || wear.percent >= Self.wornPercent {
            return .warning(
                "disk", found,
                mend: "replace the board or its card before it fails; `kerb-edge backup` moves it")
        }
        guard free >> 20 >= Int64(most) else {
            return .warning("disk", found, mend: "free some, or lower `journalLimitMegabytes`")
        }
        return .fine("disk", found)
    }

    private func journal() -> [Finding] {
        var findings: [Finding] = []
        let path = settings.journalPath
        // A folder that cannot be listed is the disk's finding.
        let names = (try? FileSystem.names(in: settings.dataDirectory)) ?? []
        let damaged = names.filter(Self.isEvidence)
        if let first = damaged.first {
            findings.append(
                .warning(
                    "journal", "\(damaged.count) damaged set aside, the first \(first)",
                    mend: "send it to support for its charges, then remove it; check the disk"))
        }
        if let status {
            guard status["journalDepth"]?.int != nil else {
                return findings + [
                    .bad("journal", "cannot be read", mend: "check the disk; see the log")
                ]
            }
            return findings + Self.journal(of: status)
        }
        guard FileSystem.exists(path) else { return findings + [.fine("journal", "none yet")] }
        return findings + [JournalExamination.finding(path)]
    }
}
