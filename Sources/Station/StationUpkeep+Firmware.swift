import Charging
import Crypto
import Glibc
import JSON
import Service

extension StationUpkeep {
    // MARK: Orders

    /// One update at a time: a new one takes the place of one that is not installing yet.
    func updateFirmware(_ order: FirmwareOrder) async -> CommandAnswer {
        let place = configuration.carriage.masked(order.transfer.location)
        log.notice("firmware ordered", ["place": place, "signed": order.signed != nil])
        guard let signed = order.signed else {
            // The answer has no word for a refusal; the report has.
            guard configuration.acceptsUnsigned, canInstall, machine.canBeReplaced else {
                log.warning("firmware refused", ["place": place])
                await queue(.firmware(.downloadFailed))
                return .maintenance(.taken)
            }
            await handle(.ordered(order))
            return .maintenance(.taken)
        }
        guard canInstall, machine.canBeReplaced else { return .status("Rejected") }
        if let why = refusal(of: signed) {
            await note(.invalidFirmwareSigningCertificate, why)
            return .status("InvalidCertificate")
        }
        let isReplacing = machine.job != nil
        await handle(.ordered(order))
        return .status(isReplacing ? "AcceptedCanceled" : "Accepted")
    }

    private var canInstall: Bool { !configuration.installCommand.isEmpty }

    /// Why the certificate of an update is not one of the manufacturer's; nil if it is.
    private func refusal(of signed: FirmwareOrder.Signed) -> String? {
        FirmwareSignature.refusal(
            ofSigner: signed.certificate, roots: roots.roots(.manufacturer).map(\.certificate),
            at: clock.now.milliseconds / 1000)
    }

    func perform(_ effect: FirmwareMachine.Effect, _ order: FirmwareOrder) async {
        switch effect {
        case .report(let status): await report(status, order)
        case .download: startDownload(order)
        case .stopDownload:
            downloadNumber += 1
            downloading?.cancel()
            resumeTag = Lock(nil)
        case .verify: startChecking(order)
        case .holdConnectors(let isHeld): await agent?.hold(isHeld)
        case .install:
            run(.install, configuration.installCommand, order) { .installEnded(isGood: $0) }
        case .rollBack:
            run(.rollBack, configuration.rollbackCommand, order) { .rolledBack($0) }
        case .restart: await agent?.restartForUpdate()
        case .note(let kind):
            let info = kind == .firmwareUpdated ? configuration.version : nil
            await note(kind, info)
        case .discard: discard()
        }
    }

    private func report(_ status: FirmwareStatus, _ order: FirmwareOrder) async {
        log.notice("firmware", ["status": status.rawValue])
        if let signed = order.signed {
            await queue(.signedFirmware(status, requestID: signed.requestID))
        } else if status.plain == status {
            await queue(.firmware(status))
        }
    }

    // MARK: Download

    private var partPath: String { configuration.folder + "/firmware.part" }
    private var packagePath: String { configuration.folder + "/firmware.deb" }
    private var imagePath: String { configuration.folder + "/firmware.img" }

    /// What was fetched, under the name we gave it by its content.
    private var firmwarePath: String? { [packagePath, imagePath].first(where: FileSystem.exists) }

    private func startDownload(_ order: FirmwareOrder) {
        downloadNumber += 1
        let number = downloadNumber
        downloading?.cancel()
        downloading = Task { await self.download(order, number) }
    }

    private func download(_ order: FirmwareOrder, _ number: Int) async {
        do throws(CarriageError) {
            let free = try freeBytes()
            // Of this download alone: an old one that ends late must not speak for the new.
            let box = resumeTag
            try await configuration.carriage.download(
                order.transfer.location, to: partPath, limitBytes: free,
                resuming: box.withLock { $0 }
            ) { tag in box.withLock { $0 = tag } }
            guard number == downloadNumber else { return }
            try settle()
            resumeTag = Lock(nil)
            await handle(.downloaded)
        } catch {
            guard number == downloadNumber, !Task.isCancelled else { return }
            log.warning("firmware not fetched", ["error": error.text, "mayHeal": error.mayHeal])
            await handle(.downloadFailed(mayHeal: error.mayHeal))
        }
    }

    private func freeBytes() throws(CarriageError) -> Int64 {
        do throws(FileError) {
            let free = try FileSystem.freeBytes(at: configuration.folder) - Self.reservedBytes
            guard free > 0 else { throw FileError.diskFull(configuration.folder) }
            return min(free, configuration.firmwareBytes)
        } catch {
            throw CarriageError(.other, mayHeal: true, error.description)
        }
    }

    /// Gives the whole file its name.
    private func settle() throws(CarriageError) {
        let magic = Array("!<arch>\ndebian-binary".utf8)
        do throws(FileError) {
            for path in [packagePath, imagePath] { try FileSystem.remove(path) }
            let head = FileHead.read(partPath, count: magic.count)
            let path = head == magic ? packagePath : imagePath
            guard rename(partPath, path) == 0 else { throw FileError(path, errno: errno) }
            try FileSystem.syncFolder(of: path)
        } catch {
            throw CarriageError(.other, mayHeal: true, error.description)
        }
    }

    private func discard() {
        for path in [partPath, packagePath, imagePath] {
            // What stays is replaced by the next update.
            try? FileSystem.remove(path)
        }
        settleHelper()
    }

    /// Tells root's helper that nothing is to be undone any more.
    func settleHelper() {
        guard let handover = configuration.handover, handover.mustBeSettled else { return }
        let request = FirmwareRequest(
            id: FirmwareHandover.id(.settled, orderedAt: clock.now.milliseconds), kind: .settled)
        do throws(FileError) { try handover.hand(request) } catch {
            // The next start tries again.
            log.warning("helper not told", ["error": error.description])
        }
    }

    // MARK: Signature

    private func startChecking(_ order: FirmwareOrder) {
        let path = firmwarePath
        let number = downloadNumber
        downloading = Task {
            // On a thread of its own: half a gigabyte takes seconds.
            let hash = await withCheckedContinuation { continuation in
                NativeThread.start("firmware hash", stackBytes: 262_144) {
                    continuation.resume(returning: path.flatMap(FileHead.sha256(of:)))
                }
            }
            // A verdict on a file that has been replaced says nothing of the new one.
            guard number == self.downloadNumber else { return }
            await self.handle(.verified(self.isGenuine(hash, order)))
        }
    }

    private func isGenuine(_ hash: [UInt8]?, _ order: FirmwareOrder) -> Bool {
        guard let hash, let signed = order.signed else { return false }
        // The certificate may have ended, or its root been deleted, since the order came.
        return FirmwareSignature.isGenuine(
            sha256: hash, signer: signed.certificate, signature: signed.signature,
            roots: roots.roots(.manufacturer).map(\.certificate), at: clock.now.milliseconds / 1000)
    }

    // MARK: Commands

    private func run(
        _ kind: FirmwareRequest.Kind, _ command: [String], _ order: FirmwareOrder,
        _ input: @escaping @Sendable (Bool) -> FirmwareMachine.Input
    ) {
        guard let handover = configuration.handover else {
            return start(command, as: kind.rawValue, input)
        }
        let name = firmwarePath.flatMap { $0.split(separator: "/").last }.map(String.init)
        let request = FirmwareRequest(
            id: FirmwareHandover.id(kind, orderedAt: machine.job?.orderedAt ?? 0), kind: kind,
            file: kind == .install ? FirmwareRequest.File(rawValue: name ?? "") : nil,
            certificate: order.signed?.certificate, signature: order.signed?.signature)
        // As with a command of ours: nothing cuts it off.
        Task { await self.handle(input(await self.isDone(request, by: handover))) }
    }

    /// Hands over and waits for the helper's answer.
    private func isDone(_ request: FirmwareRequest, by handover: FirmwareHandover) async -> Bool {
        let deadline =
            clock.monotonicMilliseconds + Int64(configuration.commandSeconds) * 1000
            + FirmwareHandover.patienceMilliseconds
        do {
            try handover.hand(request)
            while clock.monotonicMilliseconds < deadline {
                if let answer = handover.answer(to: request.id) {
                    log.notice(
                        "helper answered",
                        ["asked": request.kind.rawValue, "done": answer.isGood, "why": answer.why])
                    return answer.isGood
                }
                try await clock.sleep(milliseconds: FirmwareHandover.pollMilliseconds)
            }
            log.error("helper silent", ["asked": request.kind.rawValue])
            // Not to be found by a helper that comes up tomorrow.
            try FileSystem.remove(handover.requestPath)
        } catch {
            log.error("firmware not handed over", ["error": String(describing: error)])
        }
        return false
    }

    private func start(
        _ command: [String], as name: String,
        _ input: @escaping @Sendable (Bool) -> FirmwareMachine.Input
    ) {
        let file = firmwarePath ?? imagePath
        let arguments = command.map { $0 == "{file}" ? file : $0 }
        let output = "\(configuration.folder)/\(name).log"
        let seconds = configuration.commandSeconds
        // Not cancelled with anything: an installer that runs is never cut off by us.
        Task {
            guard !arguments.isEmpty else { return await self.handle(input(false)) }
            let outcome = await ChildCommand.run(
                arguments, outputPath: output, deadlineSeconds: seconds)
            self.log.notice(
                "command ended", ["command": name, "outcome": String(describing: outcome)])
            await self.handle(input(outcome == .exited(0)))
        }
    }
}

/// Parts of a file that need not lie in memory whole.
enum FileHead {
    /// The first bytes; fewer, or none, where there are no more.
    static func read(_ path: String, count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        _ = each(path, chunk: count) { part in
            bytes += part
            return false
        }
        return Array(bytes.prefix(count))
    }

    /// nil for a file that cannot be read to its end.
    static func sha256(of path: String) -> [UInt8]? {
        let stream = SHA256Stream()
        let isWhole = each(path, chunk: 1 << 16) { part in
            stream.add(part)
            return true
        }
        return isWhole ? stream.finish() : nil
    }

    private static func each(
        _ path: String, chunk: Int, _ body: (UnsafeRawBufferPointer) -> Bool
    ) -> Bool {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: chunk)
        while true {
            let count = Glibc.read(descriptor, &buffer, chunk)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return count == 0 }
            let goesOn = buffer.withUnsafeBytes {
                body(UnsafeRawBufferPointer(rebasing: $0[..<count]))
            }
            guard goesOn else { return true }
        }
    }
}
