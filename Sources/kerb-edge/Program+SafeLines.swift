import HAL
import LinuxHAL
import Service

extension Program {
    /// Takes the outputs that the last `config check` left beside the configuration, at the level at
    /// which nothing happens. The very first thing a run does.
    static func holdSafeLines(_ configuration: String) -> HeldLines {
        let started = ContinuousClock.now
        guard let lines = SafeLines.read(configuration: configuration) else { return HeldLines() }
        var held = lines.hold(LinuxGPIO())
        held.tookMicroseconds = (ContinuousClock.now - started).inMicroseconds
        return held
    }

    /// Says what was held before the configuration was read.
    static func report(
        _ held: HeldLines, _ configuration: String, _ cabinet: Cabinet, _ settings: EdgeSettings,
        _ log: Log
    ) throws {
        for problem in held.problems {
            log.warning("safe line not held", ["reason": "\(problem)"])
        }
        let wanted = SafeLines(try Cabinet.wishes(cabinet.board, settings))
        guard !wanted.lines.isEmpty else { return }
        log.info(
            "outputs safe before the configuration",
            ["lines": held.count, "tookMicroseconds": held.tookMicroseconds])
        if SafeLines.read(configuration: configuration) != wanted {
            log.warning(
                "safe-lines are not this configuration's; run `kerb-edge config check`",
                ["file": SafeLines.path(configuration: configuration)])
        }
    }

    /// What a safety input did by itself.
    static func tell(_ fall: GPIOFall, _ log: Log) {
        log.warning(
            "safety input opened",
            [
                "line": fall.line, "role": fall.role.rawValue,
                "opened": fall.opened.joined(separator: ", "),
                "reactionMicroseconds": fall.reactionMicroseconds,
            ])
    }

    /// Leaves the board's outputs beside the configuration for the next start; says what it did.
    static func writeSafeLines(_ configuration: String, _ wishes: [GPIOWish]) -> String? {
        let path = SafeLines.path(configuration: configuration)
        let lines = SafeLines(wishes)
        do throws(FileError) {
            guard !lines.lines.isEmpty else {
                // Lines of a board that is gone would be driven at the next start.
                try FileSystem.remove(path)
                return nil
            }
            // The agent's own user has to read it, and it holds no secret.
            try FileSystem.writeAtomically(Array(lines.text.utf8), to: path, mode: 0o644)
            return "\(path): \(lines.lines.count) outputs, safe at the next start"
        } catch {
            return "safe-lines not written (\(error)): until they are, outputs are safe only once "
                + "the configuration is read; check again as the file's owner"
        }
    }
}

extension Duration {
    fileprivate var inMicroseconds: Int64 {
        components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000
    }
}
