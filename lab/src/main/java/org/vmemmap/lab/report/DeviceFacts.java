// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.report;

/**
 * A bound device, as far as its memmap goes.
 *
 * @param name the device's name
 * @param startPfn first pfn of the range that has struct pages
 * @param pages length of the range
 * @param align bytes of one page of the device
 * @param altmapPages pages of the device that hold its memmap; 0 when it lies in RAM
 */
public record DeviceFacts(String name, long startPfn, long pages, long align, long altmapPages) {}
