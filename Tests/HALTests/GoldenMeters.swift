// house: table
/// What each kind of meter sends, byte for byte, and what it means to the digit. Written from the
/// vendors' tables and not from Kerb's profiles.
struct Golden: CustomStringConvertible, Sendable {
    /// Function, zero-based address, the registers' bytes as they come over the wire.
    typealias Answer = (function: Int, address: Int, bytes: String)

    var profile: String
    var answers: [Answer]
    var energy: Int64
    var exported: Int64?
    var millivolts: [Int64] = []
    var milliamperes: [Int64] = []
    var power: Int64?
    var powers: [Int64] = []
    var millihertz: Int64?
    /// In thousandths.
    var powerFactor: Int64?

    var description: String { profile }

    static let all: [Golden] = [
        // Float32; 230.2 V is the vendor's own example. 812.3457 kWh is 812.345703125 in float32.
        Golden(
            profile: "sdm630",
            answers: [
                (4, 0x0000, "43 66 33 33 43 65 DE B8 43 67 74 BC"),
                (4, 0x0006, "41 7F F7 CF 3E 80 00 00 41 FC 00 00"),
                (4, 0x000C, "45 66 2B 33 42 64 00 00 C1 46 66 66"),
                (4, 0x0034, "45 68 F4 CD"),
                (4, 0x003E, "3F 7C D3 5B"),
                (4, 0x0046, "42 47 EB 85"),
                (4, 0x0048, "44 4B 16 20 3A 83 12 6F"),
            ],
            energy: 812_345, exported: 1, millivolts: [230_200, 229_870, 231_456],
            milliamperes: [15_998, 250, 31_500], power: 3727, powers: [3683, 57, -12],
            millihertz: 49_980, powerFactor: 988),
        // Totals only. 16 777.216 kWh is exact in float32; a minus in front of the power is export.
        Golden(
            profile: "sdm72",
            answers: [
                (4, 0x0034, "C5 0F C8 00"),
                (4, 0x0048, "46 83 12 6F 3F C0 00 00"),
            ],
            energy: 16_777_216, exported: 1500, power: -2301),
        // One phase, the vendor's 230.2 V.
        Golden(
            profile: "sdm120",
            answers: [
                (4, 0x0000, "43 66 33 34"),
                (4, 0x0006, "42 00 00 00"),
                (4, 0x000C, "45 E6 00 00"),
                (4, 0x001E, "3F 80 00 00"),
                (4, 0x0046, "42 48 14 7B"),
                (4, 0x0048, "44 23 94 8B 00 00 00 00"),
            ],
            energy: 654_320, exported: 0, millivolts: [230_200], milliamperes: [32_000],
            power: 7360, millihertz: 50_020, powerFactor: 1000),
        // One phase; this one tells tenths of a hertz: 500.1 is 50.01 Hz.
        Golden(
            profile: "sdm230",
            answers: [
                (4, 0x0000, "43 64 19 9A"),
                (4, 0x0006, "41 28 00 00"),
                (4, 0x000C, "45 15 B0 00"),
                (4, 0x001E, "BF 00 00 00"),
                (4, 0x0046, "43 FA 0C CD"),
                (4, 0x0048, "3F 80 00 00 3E 80 00 00"),
            ],
            energy: 1000, exported: 250, millivolts: [228_100], milliamperes: [10_500], power: 2395,
            millihertz: 50_010, powerFactor: -500),
        // Low word first; 1 234 567 tenths of a kWh. Export overflows: not available.
        Golden(
            profile: "em340",
            answers: [
                (4, 0x0000, "08 FD 00 00 08 FE 00 00 08 FF 00 00"),
                (4, 0x000C, "3E 81 00 00 11 70 00 01 FF FF FF FF"),
                (4, 0x0012, "8F C5 00 00 FF FB FF FF 00 00 00 00"),
                (4, 0x0028, "70 40 FF FF"),
                (4, 0x0031, "FC 18"),
                (4, 0x0033, "01 F5"),
                (4, 0x0034, "D6 87 00 12"),
                (4, 0x004E, "FF FF 7F FF"),
            ],
            energy: 123_456_700, millivolts: [230_100, 230_200, 230_300],
            milliamperes: [16_001, 70_000, -1], power: -3680, powers: [3681, -1, 0],
            millihertz: 50_100, powerFactor: -1000),
        // The same numbers at the older meter's places.
        Golden(
            profile: "em24-old",
            answers: [
                (4, 0x0000, "08 FD 00 00 08 FE 00 00 08 FF 00 00"),
                (4, 0x000C, "3E 81 00 00 11 70 00 01 FF FF FF FF"),
                (4, 0x0012, "8F C5 00 00 FF FB FF FF 00 00 00 00"),
                (4, 0x0028, "70 40 FF FF"),
                (4, 0x0035, "FC 18"),
                (4, 0x0037, "01 F5"),
                (4, 0x0042, "D6 87 00 12"),
                (4, 0x005C, "FF FF 7F FF"),
            ],
            energy: 123_456_700, millivolts: [230_100, 230_200, 230_300],
            milliamperes: [16_001, 70_000, -1], power: -3680, powers: [3681, -1, 0],
            millihertz: 50_100, powerFactor: -1000),
        // Four registers of a counter: 4 294 967 299 hundredths of a kWh. All F is not available.
        Golden(
            profile: "abb-b23",
            answers: [
                (3, 0x5000, "00 00 00 01 00 00 00 03"),
                (3, 0x5004, "FF FF FF FF FF FF FF FF"),
                (3, 0x5B00, "00 00 09 01 00 00 08 FB FF FF FF FF"),
                (3, 0x5B0C, "00 00 06 41 00 00 00 03 00 00 00 00"),
                (3, 0x5B14, "00 05 A1 35 00 05 A0 D1 00 00 00 64 00 00 00 00"),
                (3, 0x5B2C, "13 89"),
                (3, 0x5B3A, "FC 19"),
            ],
            energy: 42_949_672_990, millivolts: [230_500, 229_900], milliamperes: [16_010, 30, 0],
            power: 3689, powers: [3688, 1, 0], millihertz: 50_010, powerFactor: -999),
        // One phase; the totals stand for it.
        Golden(
            profile: "abb-b21",
            answers: [
                (3, 0x5000, "00 00 00 00 00 01 E2 40"),
                (3, 0x5004, "00 00 00 00 00 00 00 07"),
                (3, 0x5B00, "00 00 09 07"),
                (3, 0x5B0C, "00 00 09 D0"),
                (3, 0x5B14, "FF F7 24 60"),
                (3, 0x5B2C, "13 87"),
                (3, 0x5B3A, "03 E8"),
            ],
            energy: 1_234_560, exported: 70, millivolts: [231_100], milliamperes: [25_120],
            power: -5805, millihertz: 49_990, powerFactor: 1000),
        // Whole watt-hours in 64 bits beside kilowatts in float32.
        Golden(
            profile: "schneider-iem3000",
            answers: [
                (3, 0x0C83, "00 00 00 02 4C B0 16 EA"),
                (3, 0x0C87, "00 00 00 00 00 00 00 0C"),
                (3, 0x0BF3, "41 2F 93 DE"),
                (3, 0x0BED, "40 6B B1 5B 00 00 00 00 40 E9 4F 0E"),
                (3, 0x0BD3, "43 66 33 33 43 65 DE B8 43 67 74 BC"),
                (3, 0x0BB7, "41 7F F7 CF 3E 80 00 00 41 FC 00 00"),
                (3, 0x0C25, "42 47 EB 85"),
            ],
            energy: 9_876_543_210, exported: 12, millivolts: [230_200, 229_870, 231_456],
            milliamperes: [15_998, 250, 31_500], power: 10_974, powers: [3683, 0, 7291],
            millihertz: 49_980),
        // Float32 of Wh, not kWh; 0.9 Wh is not complete yet.
        Golden(
            profile: "janitza-umg96",
            answers: [
                (3, 19068, "49 96 B4 38"),
                (3, 19076, "3F 66 66 66"),
                (3, 19000, "43 66 33 33 43 65 DE B8 43 67 74 BC"),
                (3, 19012, "41 7F F7 CF 3E 80 00 00 41 FC 00 00"),
                (3, 19020, "45 66 2B 33 42 64 00 00 C1 46 66 66"),
                (3, 19026, "45 68 F4 CD"),
                (3, 19050, "42 48 0A 3D"),
            ],
            energy: 1_234_567, exported: 0, millivolts: [230_200, 229_870, 231_456],
            milliamperes: [15_998, 250, 31_500], power: 3727, powers: [3683, 57, -12],
            millihertz: 50_010),
        // The same energy, the other values at the short addresses.
        Golden(
            profile: "janitza-umg604",
            answers: [
                (3, 19068, "49 96 B4 38"),
                (3, 19076, "3F 66 66 66"),
                (3, 1317, "43 66 33 33 43 65 DE B8 43 67 74 BC"),
                (3, 1325, "41 7F F7 CF 3E 80 00 00 41 FC 00 00"),
                (3, 1333, "45 66 2B 33 42 64 00 00 C1 46 66 66"),
                (3, 1369, "45 68 F4 CD"),
                (3, 1439, "42 48 0A 3D"),
            ],
            energy: 1_234_567, exported: 0, millivolts: [230_200, 229_870, 231_456],
            milliamperes: [15_998, 250, 31_500], power: 3727, powers: [3683, 57, -12],
            millihertz: 50_010),
        // Float64 of Wh at odd addresses: 123 456 789.75.
        Golden(
            profile: "siemens-pac2200",
            answers: [
                (3, 801, "41 9D 6F 34 57 00 00 00"),
                (3, 809, "00 00 00 00 00 00 00 00"),
                (3, 1, "43 66 33 33 43 65 DE B8 43 67 74 BC"),
                (3, 13, "41 7F F7 CF 3E 80 00 00 41 FC 00 00"),
                (3, 25, "45 66 2B 33 42 64 00 00 C1 46 66 66"),
                (3, 55, "42 47 CC CD"),
                (3, 65, "45 68 F4 CD"),
            ],
            energy: 123_456_789, exported: 0, millivolts: [230_200, 229_870, 231_456],
            milliamperes: [15_998, 250, 31_500], power: 3727, powers: [3683, 57, -12],
            millihertz: 49_950),
        // 10^-1 × 2302 V, 10^-3 × 15 998 A, 10^0 × −12 W; counters of 10^1 and 10^0 Wh, the exponents beside them.
        Golden(
            profile: "iskra-wm3m4",
            answers: [
                (4, 414, "00 01 00 00"),
                (4, 418, "00 7B F4 41 00 00 00 2A"),
                (4, 105, "FD 00 C3 5A"),
                (4, 107, "FF 00 08 FE FE 00 59 CB FF 00 09 0A"),
                (4, 126, "FD 00 3E 7E FD 00 00 FA FF 00 01 3B"),
                (4, 140, "00 00 0E 8F"),
                (4, 142, "FF 00 8F DB 00 00 00 39 00 FF FF F4"),
            ],
            energy: 81_234_570, exported: 42, millivolts: [230_200, 229_870, 231_400],
            milliamperes: [15_998, 250, 31_500], power: 3727, powers: [3683, 57, -12],
            millihertz: 50_010),
        // Hundredths of a hertz where the profile expects thousandths: 5001 can only be 50.01 Hz.
        Golden(
            profile: "lovato-dmg",
            answers: [
                (4, 0x1B1F, "00 00 00 00 49 96 02 D2"),
                (4, 0x1B23, "00 00 00 00 00 00 00 01"),
                (4, 0x0039, "00 05 AF FA"),
                (4, 0x0013, "00 05 9E 8E 00 00 16 44 FF FF FB 28"),
                (4, 0x0001, "00 00 59 EC 00 00 59 CB 00 00 5A 6A"),
                (4, 0x0007, "00 02 70 EC 00 00 09 C4 00 04 CE 78"),
                (4, 0x0031, "00 00 13 89"),
            ],
            energy: 12_345_678_900, exported: 10, millivolts: [230_200, 229_870, 231_460],
            milliamperes: [15_998, 250, 31_500], power: 3727, powers: [3683, 57, -12],
            millihertz: 50_010),
        // Floats that still need dividing: 2302, 15 998, 4998.
        Golden(
            profile: "chint-dtsu666",
            answers: [
                (3, 0x101E, "44 4B 16 20"),
                (3, 0x1028, "00 00 00 00"),
                (3, 0x2012, "47 11 99 00"),
                (3, 0x2014, "47 0F DB 00 44 0E 80 00 C2 F8 00 00"),
                (3, 0x2006, "45 0F E0 00 45 0F AB 33 45 10 A8 F6"),
                (3, 0x200C, "46 79 F8 00 43 7A 00 00 46 F6 18 00"),
                (3, 0x2044, "45 9C 30 00"),
                (3, 0x202A, "44 76 E6 66"),
            ],
            energy: 812_345, exported: 0, millivolts: [230_200, 229_870, 231_456],
            milliamperes: [15_998, 250, 31_500], power: 3727, powers: [3683, 57, -12],
            millihertz: 49_980, powerFactor: 988),
        // 16 bits for volts and amperes, 32 for watts and hundredths of a kWh.
        Golden(
            profile: "acrel-adw300",
            answers: [
                (3, 20, "08 FE 08 FB 09 0A"),
                (3, 26, "06 40 00 19 0C 4E"),
                (3, 30, "00 00 0E 63 00 00 00 39 FF FF FF F4"),
                (3, 36, "00 00 0E 90"),
                (3, 62, "00 12 D6 87 00 00 00 03"),
            ],
            energy: 12_345_670, exported: 30, millivolts: [230_200, 229_900, 231_400],
            milliamperes: [16_000, 250, 31_500], power: 3728, powers: [3683, 57, -12]),
        // kW and kWh, plain volts and amperes.
        Golden(
            profile: "inepro-pro380",
            answers: [
                (3, 0x600C, "44 4B 16 20"),
                (3, 0x6018, "3F 00 00 00"),
                (3, 0x5002, "43 66 33 33 43 65 DE B8 43 67 74 BC"),
                (3, 0x5008, "42 47 EB 85"),
                (3, 0x500C, "41 7F F7 CF 3E 80 00 00 41 FC 00 00"),
                (3, 0x5012, "41 2F 93 DE 40 6B B1 5B 00 00 00 00 40 E9 4F 0E"),
                (3, 0x502A, "3F 7C D3 5B"),
            ],
            energy: 812_345, exported: 500, millivolts: [230_200, 229_870, 231_456],
            milliamperes: [15_998, 250, 31_500], power: 10_974, powers: [3683, 0, 7291],
            millihertz: 49_980, powerFactor: 988),
        // kW and kWh; the sum of both directions at 0x0100 is never looked at.
        Golden(
            profile: "orno-we516",
            answers: [
                (3, 0x000E, "43 66 33 33 43 65 DE B8 43 67 74 BC"),
                (3, 0x0014, "42 47 EB 85"),
                (3, 0x0016, "41 7F F7 CF 3E 80 00 00 41 FC 00 00"),
                (3, 0x001C, "41 2F 93 DE 40 6B B1 5B 00 00 00 00 40 E9 4F 0E"),
                (3, 0x0100, "44 79 C0 00"),
                (3, 0x0108, "44 4B 16 20"),
                (3, 0x0110, "3F 00 00 00"),
            ],
            energy: 812_345, exported: 500, millivolts: [230_200, 229_870, 231_456],
            milliamperes: [15_998, 250, 31_500], power: 10_974, powers: [3683, 0, 7291],
            millihertz: 49_980),
        // Tens of Wh and of W; 49 980 thousandths of a hertz.
        Golden(
            profile: "socomec-countis-e2x",
            answers: [
                (3, 0xC558, "00 00 59 EC 00 00 59 CB 00 00 5A 6A"),
                (3, 0xC55E, "00 00 C3 3C"),
                (3, 0xC560, "00 00 3E 7E 00 00 00 FA 00 00 7B 0C"),
                (3, 0xC568, "FF FF FE 8B"),
                (3, 0xC570, "00 00 01 70 00 00 00 06 FF FF FF FF"),
                (3, 0xC702, "07 5B CD 15"),
                (3, 0xC708, "00 00 00 02"),
            ],
            energy: 1_234_567_890, exported: 20, millivolts: [230_200, 229_870, 231_460],
            milliamperes: [15_998, 250, 31_500], power: -3730, powers: [3680, 60, -10],
            millihertz: 49_980),
        // The same with 4998 hundredths of a hertz.
        Golden(
            profile: "socomec-countis-e3x",
            answers: [
                (3, 0xC558, "00 00 59 EC 00 00 59 CB 00 00 5A 6A"),
                (3, 0xC55E, "00 00 13 86"),
                (3, 0xC560, "00 00 3E 7E 00 00 00 FA 00 00 7B 0C"),
                (3, 0xC568, "FF FF FE 8B"),
                (3, 0xC570, "00 00 01 70 00 00 00 06 FF FF FF FF"),
                (3, 0xC702, "07 5B CD 15"),
                (3, 0xC708, "00 00 00 02"),
            ],
            energy: 1_234_567_890, exported: 20, millivolts: [230_200, 229_870, 231_460],
            milliamperes: [15_998, 250, 31_500], power: -3730, powers: [3680, 60, -10],
            millihertz: 49_980),
    ]
}
