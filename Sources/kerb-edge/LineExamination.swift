import HAL
import LinuxHAL
import Service

/// What `doctor` finds out about lines and analogue devices, without taking any.
struct LineExamination {
    let settings: EdgeSettings
    /// The configuration's file.
    let file: String

    func findings() -> [Finding] {
        // A board that cannot be read is a finding of its own already.
        guard let board = try? settings.library.board(settings.board),
            let wishes = try? Cabinet.wishes(board, settings)
        else { return [] }
        return lines(wishes) + analog(board)
    }

    private func lines(_ wishes: [GPIOWish]) -> [Finding] {
        guard !wishes.isEmpty else { return [] }
        // A machine that cannot be asked is one without chips.
        let chips = (try? LinuxGPIO().chips()) ?? []
        let findings = wishes.map { wish in
            let topic = "line \(wish.name)"
            do throws(GPIOError) {
                _ = try GPIOPlan([wish], on: chips)
                return Finding.fine(topic, "\(wish.owner), free")
            } catch {
                if case .held(_, LinuxGPIO.consumer) = error {
                    return .fine(topic, "\(wish.owner), held by the agent")
                }
                return .bad(
                    topic, "\(wish.owner): \(error)",
                    mend: "name the line under `evses[].lines` as `gpioinfo` shows it; "
                        + "the user of the agent needs the group of /dev/gpiochip*")
            }
        }
        return findings + [safeLines(wishes)]
    }

    private func safeLines(_ wishes: [GPIOWish]) -> Finding {
        let outputs = wishes.filter(\.role.isOutput).count
        guard SafeLines.read(SafeLines.places(configuration: file)) == SafeLines(wishes) else {
            return .warning(
                "safe-lines",
                "not those of this configuration; outputs are safe only once it is read",
                mend: "kerb-edge config check \(file)")
        }
        return .fine("safe-lines", "\(outputs) outputs, safe before the configuration is read")
    }

    /// Whether the kernel's sensors are there, and the analogue side of a direct pilot.
    private func analog(_ board: BoardProfile) -> [Finding] {
        let sysfs = Sysfs()
        var findings: [Finding] = []
        if case .sysfs(let profile) = board.temperature?.driver {
            for device in Set(
                settings.evses.map { $0.sensors.temperatureDevice ?? profile.device }
            ).sorted() {
                findings.append(
                    look("temperature \(device)", "load its driver, or name the sensor there is") {
                        () throws(DeviceError) in
                        _ = try sysfs.temperatureDevice(profile.kind, device)
                    })
            }
        }
        guard case .pwm(let profile) = board.pilot else { return findings }
        return findings + [
            look("PWM \(profile.pwmDevice)", "enable it in the device tree") {
                () throws(DeviceError) in _ = try sysfs.pwmChip(profile.pwmDevice)
            },
            look("ADC \(profile.adcDevice)", "enable it in the device tree") {
                () throws(DeviceError) in _ = try sysfs.analogDevice(profile.adcDevice)
            },
            // A chip that is not there is a finding of its own above.
        ] + ((try? sysfs.pwmChip(profile.pwmDevice)).map(PWMExamination.findings) ?? [])
    }

    private func look(
        _ topic: String, _ mend: String, _ body: () throws(DeviceError) -> Void
    ) -> Finding {
        do throws(DeviceError) {
            try body()
            return .fine(topic, "there")
        } catch {
            return .bad(topic, "\(error)", mend: mend)
        }
    }
}
