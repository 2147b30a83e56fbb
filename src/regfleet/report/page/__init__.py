"""The parts of `report.html`: rows and picture as values, template, CSS and script.

Pure; `regfleet.report.html` puts them together.
"""
