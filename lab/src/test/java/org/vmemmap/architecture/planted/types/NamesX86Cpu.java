// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.architecture.planted.types;

/** Planted: a generic class named after a CPU. */
final class NamesX86Cpu {}
