import Charging
import HAL
import Service

extension ConnectorController {
    func pause(_ milliseconds: Int64) async -> Bool {
        do {
            try await clock.sleep(milliseconds: milliseconds)
            return !Task.isCancelled
        } catch {
            return false  // Cancelled: the only error of a clock.
        }
    }

    func tick() async {
        let renewal = Int64(devices.contactor.deadMan.renewMilliseconds)
        // Nobody closes out of a rest: state C must have been seen for half a second before, and the
        // first look at a car ends the rest. So no renewal can be late by this.
        // But often enough to be no absence, however short this board's dead-man is.
        let longest = Int64(devices.contactor.deadMan.opensWithinMilliseconds) / 2
        let resting = max(polls.tick, min(polls.resting, longest > 0 ? longest : .max))
        while await pause(machine.isResting ? resting : polls.tick) {
            take(.tick)
            tellClock()
            noteJournal()
            releaseUnsigned()
            // Inputs may have come while no renewal went out.
            if machine.isContactorClosed, devices.contactor.deadMan.kind != .none {
                resumeIfAbsent(since: contactorSetAt)
            }
            // The closed level falls by itself unless it is renewed: a hung program opens.
            if machine.isContactorClosed,
                clock.monotonicMilliseconds - contactorSetAt >= max(0, renewal - polls.tick)
            {
                devices.contactor.set(closed: true)
                contactorSetAt = clock.monotonicMilliseconds
            }
        }
    }

    func pollPilot() async {
        repeat {
            do throws(DeviceError) {
                let reading = try await devices.pilot.reading()
                if let error = reading.value.repeatedFor {
                    takeLostPilot(error, last: reading.value.state)
                } else {
                    note("pilot", nil)
                    lastOffered = reading.value.offered
                    take(
                        .pilot(reading.value.state, diode: reading.value.diode),
                        askedAt: reading.askedAt)
                }
            } catch {
                note("pilot", error)
                // A pilot nobody can read is one on which nothing may flow.
                take(.pilot(.e, diode: .unknown))
            }
        } while await pause(machine.isResting ? polls.resting : polls.pilot)
    }

    /// A lost answer spares a closed contactor, and tells nothing: `ConnectorTimings.inputIsLost`
    /// counts from the last good one. An open contactor it lets nobody close.
    private func takeLostPilot(_ error: DeviceError, last state: PilotState) {
        noteFailure("pilot", error)
        guard !machine.isContactorClosed, state == .c || state == .d else { return }
        take(.pilot(.e, diode: .unknown))
    }

    func pollMirror() async {
        // Without feedback too: the driver tells here whether its outputs arrive, and repeats them.
        let isFitted = machine.board.feedback != .none
        repeat {
            do throws(DeviceError) {
                let state = try await devices.contactor.state()
                note("contactor", nil)
                // A reading asked for before the last command tells of the time before it.
                if state.askedAt >= machine.contactorCommandedAt {
                    take(.outputs(areWorking: true), askedAt: state.askedAt)
                    if isFitted { take(.mirror(state.value), askedAt: state.askedAt) }
                }
            } catch {
                note("contactor", error)
                switch error {
                case .lapsed: take(.lapsed)
                case .outputNotSet:
                    take(.outputs(areWorking: false))
                    if isFitted { take(.mirror(.unknown)) }
                default: if isFitted { take(.mirror(.unknown)) }
                }
            }
        } while await pause(machine.isResting ? polls.resting : polls.mirror)
    }

    func pollSafety() async {
        guard let device = devices.emergencyStop else { return }
        repeat {
            do throws(DeviceError) {
                let isActive = try await device.isActive()
                note("emergencyStop", nil)
                take(.emergencyStop(isActive: isActive.value), askedAt: isActive.askedAt)
            } catch {
                note("emergencyStop", error)
                take(.emergencyStop(isActive: true))
            }
        } while await pause(polls.safety)
    }

    /// Apart from the emergency stop: a self-test takes seconds.
    func pollResidualCurrent() async {
        guard let device = devices.residualCurrent else { return }
        repeat {
            if isSelfTestAsked {
                isSelfTestAsked = false
                await selfTest(device)
            }
            do throws(DeviceError) {
                let state = try await device.state()
                note("residualCurrent", nil)
                take(.residualCurrent(state.value), askedAt: state.askedAt)
            } catch {
                note("residualCurrent", error)
                // Not tripped, which would latch, but nothing flows either.
                take(.residualCurrent(.notTested))
            }
        } while await pause(polls.safety)
    }

    private static let postponedTest = "postponed self-test"

    private func selfTest(_ device: any ResidualCurrentDevice) async {
        do throws(DeviceError) {
            switch try await device.selfTest() {
            case .passed:
                isFailing.remove(Self.postponedTest)
                log.info("residual current device tested", ["connector": number])
                take(.selfTest(.passed))
            case .notRun(let why):
                // Looked at again every few seconds, for as long as the other outlet charges.
                if isFailing.insert(Self.postponedTest).inserted {
                    log.notice(
                        "residual current device's test put off",
                        ["connector": number, "reason": why])
                }
                take(.selfTest(.postponed))
            }
        } catch {
            // A test that the program's end cut short says nothing about the sensor.
            guard !Task.isCancelled else { return }
            log.error(
                "residual current device not tested",
                ["connector": number, "reason": String(describing: error)])
            if case .selfTestFailed = error {
                take(.selfTest(.failed))
            } else {
                take(.selfTest(.notRun))
            }
        }
    }

    func pollSocket() async {
        guard devices.proximity != nil || devices.lock != nil else { return }
        repeat {
            if let device = devices.proximity {
                do throws(DeviceError) {
                    let rating = try await device.rating()
                    note("proximity", nil)
                    take(.proximity(rating.value), askedAt: rating.askedAt)
                } catch {
                    note("proximity", error)
                    take(.proximity(nil))
                }
            }
            if let device = devices.lock {
                do throws(DeviceError) {
                    let isLocked = try await device.isLocked()
                    note("lock", nil)
                    take(.locked(isLocked.value), askedAt: isLocked.askedAt)
                } catch {
                    note("lock", error)
                    take(.locked(false))
                }
            }
        } while await pause(polls.mirror)
    }

    func pollTemperature() async {
        guard let device = devices.temperature else { return }
        repeat {
            do throws(DeviceError) {
                let tenths = try await device.tenthsOfDegree()
                note("temperature", nil)
                // Rounded up. Too hot it was whenever that was.
                let degrees =
                    tenths.value / 10 + (tenths.value > 0 && tenths.value % 10 != 0 ? 1 : 0)
                let isTooHot = degrees > machine.board.maximumDegrees
                take(
                    .temperature(degrees: degrees), askedAt: isTooHot ? .max : tenths.askedAt)
            } catch {
                note("temperature", error)
                // Unread counts as too hot.
                take(.temperature(degrees: machine.board.maximumDegrees + 1))
            }
        } while await pause(polls.temperature)
    }

    func pollMeter() async {
        repeat {
            do throws(MeterError) {
                let readings = try await devices.meter.readings()
                lastMeterError = nil
                note("meter", nil)
                take(.meter(MeterSnapshot(readings)), askedAt: readings.askedAt)
            } catch {
                lastMeterError = "\(error)"
                note("meter", error)
                take(.meterFailed)
            }
        } while await pause(polls.meter)
    }

    /// Says once that a device failed, and once that it is back.
    func note(_ device: String, _ error: (any Error)?) {
        noteFailure(device, error)
        if let error {
            guard isFailing.insert(device).inserted else { return }
            log.warning(
                "device failed",
                ["connector": number, "device": device, "reason": String(describing: error)])
        } else if isFailing.remove(device) != nil {
            log.notice("device is back", ["connector": number, "device": device])
        }
    }
}

extension MeterSnapshot {
    init(_ readings: MeterReadings) {
        self.init(
            register: readings.energy, currents: readings.currents, voltages: readings.voltages,
            power: readings.power, quality: readings.quality, askedAt: readings.askedAt,
            at: readings.at)
        registerStep = readings.energyStep
        switch readings.doubts[.energyImport] {
        case nil, .rolledOver: break
        case let doubt?: registerDoubt = "\(doubt)"
        }
    }
}
