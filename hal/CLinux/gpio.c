#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/gpio.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

// ioctl is interrupted by signals like every slow call.
static int call(int descriptor, unsigned long request, void *argument) {
    int result;
    do result = ioctl(descriptor, request, argument);
    while (result < 0 && errno == EINTR);
    return result;
}

int kerb_gpio_chip_info(int chip, char *label, uint32_t *lines) {
    struct gpiochip_info info = {0};
    if (call(chip, GPIO_GET_CHIPINFO_IOCTL, &info) < 0) return -1;
    snprintf(label, KERB_GPIO_NAME, "%.*s", (int)sizeof info.label - 1, info.label);
    *lines = info.lines;
    return 0;
}

int kerb_gpio_line_info(int chip, uint32_t offset, char *name, char *consumer, bool *is_used) {
    struct gpio_v2_line_info info = {.offset = offset};
    if (call(chip, GPIO_V2_GET_LINEINFO_IOCTL, &info) < 0) return -1;
    snprintf(name, KERB_GPIO_NAME, "%.*s", (int)sizeof info.name - 1, info.name);
    snprintf(consumer, KERB_GPIO_NAME, "%.*s", (int)sizeof info.consumer - 1, info.consumer);
    *is_used = info.flags & GPIO_V2_LINE_FLAG_USED;
    return 0;
}

static uint64_t flags_of(const struct kerb_gpio_line *line) {
    uint64_t flags = line->is_output
        ? GPIO_V2_LINE_FLAG_OUTPUT
        : GPIO_V2_LINE_FLAG_INPUT | GPIO_V2_LINE_FLAG_EDGE_RISING | GPIO_V2_LINE_FLAG_EDGE_FALLING;
    if (line->is_output && line->drive == KERB_GPIO_OPEN_DRAIN) flags |= GPIO_V2_LINE_FLAG_OPEN_DRAIN;
    if (line->is_output && line->drive == KERB_GPIO_OPEN_SOURCE) flags |= GPIO_V2_LINE_FLAG_OPEN_SOURCE;
    if (line->bias == KERB_GPIO_BIAS_NONE) flags |= GPIO_V2_LINE_FLAG_BIAS_DISABLED;
    if (line->bias == KERB_GPIO_BIAS_UP) flags |= GPIO_V2_LINE_FLAG_BIAS_PULL_UP;
    if (line->bias == KERB_GPIO_BIAS_DOWN) flags |= GPIO_V2_LINE_FLAG_BIAS_PULL_DOWN;
    return flags;
}

// One attribute for each different set of flags and each different debounce time, one for the levels.
static int add(
    struct gpio_v2_line_config *config, uint32_t id, uint64_t value, uint64_t line) {
    for (uint32_t i = 0; i < config->num_attrs; i++) {
        struct gpio_v2_line_config_attribute *known = &config->attrs[i];
        bool is_same = known->attr.id == id
            && (id == GPIO_V2_LINE_ATTR_ID_FLAGS ? known->attr.flags == value
                : id == GPIO_V2_LINE_ATTR_ID_DEBOUNCE ? known->attr.debounce_period_us == value
                                                      : true);
        if (!is_same) continue;
        known->mask |= line;
        if (id == GPIO_V2_LINE_ATTR_ID_OUTPUT_VALUES) known->attr.values |= value;
        return 0;
    }
    if (config->num_attrs == GPIO_V2_LINE_NUM_ATTRS_MAX) {
        errno = E2BIG;
        return -1;
    }
    struct gpio_v2_line_config_attribute *fresh = &config->attrs[config->num_attrs++];
    fresh->attr.id = id;
    fresh->mask = line;
    if (id == GPIO_V2_LINE_ATTR_ID_FLAGS) fresh->attr.flags = value;
    else if (id == GPIO_V2_LINE_ATTR_ID_DEBOUNCE) fresh->attr.debounce_period_us = (uint32_t)value;
    else fresh->attr.values = value;
    return 0;
}

static int configure(
    struct gpio_v2_line_config *config, const struct kerb_gpio_line *lines, size_t count) {
    if (count == 0 || count > GPIO_V2_LINES_MAX) {
        errno = EINVAL;
        return -1;
    }
    config->flags = flags_of(&lines[0]);
    for (size_t i = 0; i < count; i++) {
        const uint64_t line = UINT64_C(1) << i, flags = flags_of(&lines[i]);
        if (flags != config->flags && add(config, GPIO_V2_LINE_ATTR_ID_FLAGS, flags, line)) return -1;
        if (lines[i].is_output) {
            if (add(config, GPIO_V2_LINE_ATTR_ID_OUTPUT_VALUES, lines[i].level ? line : 0, line)) return -1;
        } else if (lines[i].debounce_microseconds) {
            if (add(config, GPIO_V2_LINE_ATTR_ID_DEBOUNCE, lines[i].debounce_microseconds, line)) return -1;
        }
    }
    return 0;
}

int kerb_gpio_request(
    int chip, const char *consumer, const struct kerb_gpio_line *lines, size_t count) {
    struct gpio_v2_line_request request = {.num_lines = (uint32_t)count};
    if (configure(&request.config, lines, count)) return -1;
    snprintf(request.consumer, sizeof request.consumer, "%s", consumer);
    for (size_t i = 0; i < count; i++) request.offsets[i] = lines[i].offset;
    if (call(chip, GPIO_V2_GET_LINE_IOCTL, &request) < 0) return -1;
    // Reading an event must not block: the thread that waits waits in poll().
    fcntl(request.fd, F_SETFL, O_NONBLOCK);
    return request.fd;
}

int kerb_gpio_reconfigure(int request, const struct kerb_gpio_line *lines, size_t count) {
    struct gpio_v2_line_config config = {0};
    if (configure(&config, lines, count)) return -1;
    return call(request, GPIO_V2_LINE_SET_CONFIG_IOCTL, &config);
}

int kerb_gpio_read(int request, uint64_t mask, uint64_t *levels) {
    struct gpio_v2_line_values values = {.mask = mask};
    if (call(request, GPIO_V2_LINE_GET_VALUES_IOCTL, &values) < 0) return -1;
    *levels = values.bits & mask;
    return 0;
}

int kerb_gpio_write(int request, uint64_t mask, uint64_t levels) {
    struct gpio_v2_line_values values = {.mask = mask, .bits = levels};
    return call(request, GPIO_V2_LINE_SET_VALUES_IOCTL, &values);
}

int kerb_gpio_event_take(int request, struct kerb_gpio_event *event) {
    struct gpio_v2_line_event raw;
    ssize_t count;
    do count = read(request, &raw, sizeof raw);
    while (count < 0 && errno == EINTR);
    if (count < 0) return errno == EAGAIN ? 0 : -1;
    if (count != sizeof raw) {
        errno = EIO;
        return -1;
    }
    event->timestamp_nanoseconds = raw.timestamp_ns;
    event->offset = raw.offset;
    event->number = raw.seqno;
    event->line_number = raw.line_seqno;
    event->is_rising = raw.id == GPIO_V2_LINE_EVENT_RISING_EDGE;
    return 1;
}
