# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""The prediction of transmit times alone (``ntp/transmit_fit.h``), on synthetic transmit times."""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memset

cdef extern from "ntp/transmit_fit.h" nogil:
    cdef struct transmit_fit:
        double base_ns
        double slope_ns
    void transmit_fit_begin(transmit_fit *fit, uint64_t now_ns)
    uint64_t transmit_fit_delay(const transmit_fit *fit, uint8_t batch_index)
    void transmit_fit_add_error(transmit_fit *fit, int64_t error_ns, uint8_t batch_index)


cdef class Prediction:
    """Predicts transmit times by batch and learns from the true ones, as the loop does."""

    cdef transmit_fit fit
    cdef uint64_t now_ns

    def __cinit__(self):
        memset(&self.fit, 0, sizeof(transmit_fit))

    def batch(self, uint64_t pause_ns, delays):
        """A batch ``pause_ns`` after the previous one, whose frames, by batch index, really leave
        ``delays`` nanoseconds after its clock read; returns how much later than predicted each
        left."""
        cdef uint8_t batch_index
        self.now_ns += pause_ns
        transmit_fit_begin(&self.fit, self.now_ns)
        errors = [
            delay - <int64_t>transmit_fit_delay(&self.fit, batch_index)
            for batch_index, delay in enumerate(delays)
        ]
        for batch_index, error in enumerate(errors):
            transmit_fit_add_error(&self.fit, error, batch_index)
        return errors
